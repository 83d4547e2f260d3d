"""Values of our options of Locust: what is wrong with one is said as it is parsed."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from pytest_sentinel.errors import SettingError
from pytest_sentinel.load.options import add_options, check_host, to_send


class Parser(argparse.ArgumentParser):
    """Locust's parser, as far as it takes options."""

    def add_argument(self, *names: str, **how: Any) -> Any:  # type: ignore[override]
        """Take an option with what Locust knows beside argparse."""
        for known_to_locust in ("include_in_web_ui", "env_var"):
            how.pop(known_to_locust, None)
        return super().add_argument(*names, **how)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--sentinel-token-file", "nowhere"), "'nowhere' cannot be read: No such file"),
        (("--sentinel-token-file", "short.txt"), "does not hold one word of 16 characters"),
        (("--sentinel-token-file", "binary"), "is no text"),
        (("--sentinel-metrics", "127.0.0.1"), "has no port; a good value is 127.0.0.1:9325"),
        (("--sentinel-metrics", "127.0.0.1:99999"), "has no port between 0 and 65535"),
        (("--sentinel-metrics", "http://x:1"), "is no address"),
        (("--sentinel-gate", "loud: p(95) < 1s"), "has no known metric"),
        (("--sentinel-slots", "many"), "'many' is no number from 0"),
        (("--sentinel-roles", "-1"), "'-1' is no number from 0"),
        (("--sentinel-pool", "http://x"), "is no list of ws[s]://HOST[:PORT][/PREFIX]"),
    ],
)
def test_a_bad_value_is_said_in_one_line(
    words: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With the option, and exit status 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.txt").write_text("secret")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    parser = Parser(usage="")
    add_options(parser)

    with pytest.raises(SystemExit) as raised:
        parser.parse_args(words)

    assert raised.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert words[0] in said
    assert sentence in said


def test_good_values_are_taken(tmp_path: Path) -> None:
    """As they were written; a token is read where it is needed."""
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    parser = Parser()
    add_options(parser)
    words = ["--sentinel-token-file", str(token), "--sentinel-metrics", "127.0.0.1:0"]
    found = parser.parse_args([*words, "--sentinel-gate", "error_rate: rate < 1%"])

    assert found.sentinel_token_file == str(token)
    assert found.sentinel_metrics == "127.0.0.1:0"
    assert found.sentinel_gate == ["error_rate: rate < 1%"]
    assert (found.sentinel_pool, found.sentinel_slots) == ("", 0)


@pytest.mark.parametrize("host", [None, "", "http://127.0.0.1:8000", "https://x/y", "file:///tmp"])
def test_a_host_that_a_browser_can_open_is_taken(host: str | None) -> None:
    """Or none at all: tasks may name whole addresses."""
    check_host(host)


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1", "http://", "ftp://x"])
def test_another_host_is_refused(host: str) -> None:
    """Each page would fail otherwise, one after the other."""
    with pytest.raises(SettingError, match="is no URL that a browser can open"):
        check_host(host)


def test_scenarios_see_plain_options() -> None:
    """What can be sent; and no secret's place."""
    given = argparse.Namespace(
        dish="soup", users=3, tags=["a"], parser=object(), both=[object()],
        sentinel_token_file="token",
    )  # fmt: skip

    assert to_send(given) == {"dish": "soup", "users": 3, "tags": ["a"]}
    assert to_send(None) == {}
