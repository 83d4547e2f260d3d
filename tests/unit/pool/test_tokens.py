"""One rule for tokens: an option names the file, else the environment does."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sentinel.errors import SettingError
from pytest_sentinel.pool.tokens import TOKEN_FILE, find_token, read_token_file

GOOD = "0123456789abcdef"


def test_the_option_comes_before_the_environment(tmp_path: Path) -> None:
    """Without either there is no token."""
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(f"{GOOD}\n")
    other.write_text(f"{GOOD[::-1]}\n")
    environ = {TOKEN_FILE: str(other)}

    assert find_token(str(one), "--it", environ) == GOOD
    assert find_token(None, "--it", environ) == GOOD[::-1]
    assert find_token(None, "--it", {}) is None


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "does not hold one word of 16 characters or more"),
        (b"two words of many letters", "does not hold one word"),
        (b"\xff" * 20, "is no text"),
    ],
)
def test_what_is_no_token_is_said(tmp_path: Path, content: bytes | None, problem: str) -> None:
    """With the option that named the file, or the variable."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(SettingError, match=f"^--it: '{file}' {problem}"):
        read_token_file(file, "--it")
    with pytest.raises(SettingError, match=f"^{TOKEN_FILE}: '{file}' {problem}"):
        find_token(None, "--it", {TOKEN_FILE: str(file)})
