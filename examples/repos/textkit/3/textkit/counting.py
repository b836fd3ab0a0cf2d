"""What a text is made of."""

import re
from collections import Counter

_WORD = re.compile(r"\w+(?:['’]\w+)*")


def words(text):
    """Return the words of `text`, lower case, in their order."""
    return [word.lower() for word in _WORD.findall(text)]


def most_common(text, n):
    """Return the `n` most frequent words as (word, count); ties in the order of the alphabet."""
    counts = Counter(words(text))
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:n]
