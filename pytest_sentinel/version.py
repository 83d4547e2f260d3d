"""The version of this package, for those who need no more of it than that."""

from __future__ import annotations

__version__ = "0.1.0"
