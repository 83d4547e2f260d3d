"""The pages of larder, one module a subject; each offers a list ``routes``."""

from __future__ import annotations
