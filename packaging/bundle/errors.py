"""The one exception of the bundler."""

from __future__ import annotations


class BundleError(Exception):
    """Something the person who builds must fix; the text says what."""
