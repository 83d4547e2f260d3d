"""``python -m pytest_sentinel.load``: Locust with our options, whatever its locustfile imports.

A first word ``headless`` means: without the web interface, unless locust.conf or the environment
says something about it.
"""

from __future__ import annotations

import sys

from pytest_sentinel.load import hooks
from pytest_sentinel.load import user as user  # imports Locust first, and registers with it


def main() -> None:
    """Run Locust, which exits."""
    from locust.argument_parser import get_parser
    from locust.main import main as locust_main

    sys.argv[0] = "locust"
    hooks.say_in_one_line()
    if sys.argv[1:2] == ["headless"]:
        del sys.argv[1]
        parser = get_parser()
        parser.parse_known_args()
        named = {
            action.dest
            for source, settings in parser.get_source_to_settings_dict().items()
            if source != "defaults"
            for action, _ in settings.values()
            if action is not None
        }
        if not named & {"headless", "headful", "autostart"}:
            sys.argv.append("--headless")
    locust_main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
