"""The token of a service: a file without one ends the run before it begins."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("named", ["option", "environment"])
def test_a_token_file_that_is_not_there_ends_the_run(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    """One line, with what named the file, and the status of a usage error."""
    pytester.makepyfile("def test_nothing(): pass")
    words = ["--sentinel-pool=ws://127.0.0.1:1"]
    if named == "option":
        words.append("--sentinel-pool-token-file=nowhere")
    else:
        monkeypatch.setenv("SENTINEL_TOKEN_FILE", "nowhere")

    result = pytester.runpytest_subprocess(*words)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    name = "--sentinel-pool-token-file" if named == "option" else "SENTINEL_TOKEN_FILE"
    result.stderr.fnmatch_lines([f"ERROR: {name}: 'nowhere' cannot be read: No such file*"])
