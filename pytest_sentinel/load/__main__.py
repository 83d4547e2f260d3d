"""``python -m pytest_sentinel.load``: Locust with our options, whatever its locustfile imports.

A first word ``headless`` means: without the web interface, unless locust.conf or the environment
says something about it.
"""

from __future__ import annotations

import sys

from pytest_sentinel.load.user import main

if __name__ == "__main__":
    sys.argv[0] = "locust"
    is_headless = sys.argv[1:2] == ["headless"]
    if is_headless:
        del sys.argv[1]
    main(is_headless=is_headless)
