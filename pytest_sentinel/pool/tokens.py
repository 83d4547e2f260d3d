"""The token of a service, as everybody takes it: out of a file, never from a command line.

One rule for ``sentinel serve``, its commands, pytest and Locust: an option names the file, else the
environment variable ``SENTINEL_TOKEN_FILE`` does; what is in it must be a token that a service
would take.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pytest_sentinel.errors import SettingError
from pytest_sentinel.pool.servesettings import read_token

TOKEN_FILE: Final = "SENTINEL_TOKEN_FILE"  # noqa: S105 # nosec B105
_GOOD: Final = "a file made by `openssl rand -hex 16`"


def read_token_file(path: str | Path, option: str) -> str:
    """Return the token in a file.

    Args:
        path: of the file.
        option: what named the file, for the message.

    Raises:
        SettingError: it cannot be read, or holds no token.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise SettingError(option, str(path), problem, _GOOD) from None
    except UnicodeDecodeError:
        raise SettingError(option, str(path), "is no text", _GOOD) from None
    try:
        return read_token(text, str(path)).decode()
    except SettingError as error:
        problem = str(error).partition(f"{str(path)!r} ")[2].partition("; a good")[0]
        raise SettingError(option, str(path), problem or "holds no token", _GOOD) from None


def find_token(named: str | None, option: str, environ: Mapping[str, str]) -> str | None:
    """Return the token in the file that an option names, else in the one of the environment.

    Args:
        named: the file; None where the option was not given.
        option: its name, for messages.
        environ: the environment.

    Raises:
        SettingError: there is a file, and it holds no token.
    """
    if named:
        return read_token_file(named, option)
    path = environ.get(TOKEN_FILE)
    return read_token_file(path, TOKEN_FILE) if path else None
