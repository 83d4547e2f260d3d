"""larder: a small, honest web shop for meals, the application that the end-to-end tests test.

It knows nothing of pytest or of any plugin. Start it with ``python -m tests.larder``.
"""

from __future__ import annotations

__version__ = "1.0"
