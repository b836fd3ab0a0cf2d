"""Titles as parts of URLs."""

import re

_SEPARATORS = re.compile(r"[^a-z0-9]+")


def slugify(title, max_length=0):
    """Return `title` as lower-case words joined by hyphens.

    With `max_length` the slug is cut there, between words where possible.
    """
    slug = _SEPARATORS.sub("-", title.lower()).strip("-")
    if max_length and len(slug) > max_length:
        cut = slug[: max_length + 1].rfind("-")
        slug = slug[: cut if cut > 0 else max_length]
    return slug
