"""pytest-sentinel: pooled browsers, leak detection and memory assertions for pytest-playwright."""

from __future__ import annotations

__version__ = "0.1.0"
