"""Small helpers for text."""

from textkit.counting import most_common, words
from textkit.shorten import shorten
from textkit.slug import slugify

__all__ = ["most_common", "shorten", "slugify", "words"]
