"""Text cut to a width."""

ELLIPSIS = "…"


def shorten(text, width):
    """Return `text` on one line, at most `width` characters wide.

    Runs of white space become one space. What was cut is marked by an ellipsis.
    """
    if width < 1:
        raise ValueError("width must be at least 1")
    line = " ".join(text.split())
    if len(line) <= width:
        return line
    return line[:width] + ELLIPSIS
