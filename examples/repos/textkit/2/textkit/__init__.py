"""Small helpers for text."""

from textkit.shorten import shorten
from textkit.slug import slugify

__all__ = ["shorten", "slugify"]
