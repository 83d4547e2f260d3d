"""`sentinel serve` and its companions, without a service: what they refuse, and in what words."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from pytest_sentinel.cli import main
from pytest_sentinel.statuscommand import picture

COMPANIONS = ("status", "health", "restart", "drain", "resize")


def run(*words: str) -> tuple[int, str]:
    """Run `sentinel`; return its exit status and all that it said."""
    result = CliRunner().invoke(main, list(words), terminal_width=200)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--max", "0"], "--max: 0 is less than 1; a good value is 2"),
        (["--max", "many"], "'many' is no number; write it like 4"),
        (["--min", "3"], "--min: 3 for each of 1 engines is more than --max 2"),
        (["--browser", "opera"], "'opera' is not one of"),
        (["--listen", "host:port"], "write it like 127.0.0.1:9323"),
        (["--listen", "0.0.0.0"], "there is no --token-file"),
        (["--control", ":9324"], "there is no --token-file"),
        (["--control", "127.0.0.1:9323"], "is the place of --listen"),
        (["--max-lease", "soon"], "'soon' is no duration; write it like '10 m' or off"),
        (["--memory-budget", "much"], "'much' is no size; write it like '4 GB' or auto"),
        (["--upstream", "http://x"], "--upstream"),
        (["--token-file", "nowhere"], "nowhere"),
    ],
)
def test_a_bad_option_is_a_usage_error(words: list[str], says: str) -> None:
    """It names the option and shows a good value; nothing is started."""
    status, told = run("serve", *words)

    assert status == 2
    assert says in " ".join(told.split())


def test_a_token_that_is_none_is_refused(tmp_path: Path) -> None:
    """A short one is no secret, and is not repeated."""
    (tmp_path / "token").write_text("hunter2")

    status, told = run("serve", "--token-file", str(tmp_path / "token"))

    assert status == 2
    assert "openssl rand" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("name", COMPANIONS)
def test_a_service_that_is_not_there_is_named(name: str) -> None:
    """The exit status is 1, and the message says where was looked and what to do."""
    words = ["5"] if name == "resize" else []
    status, told = run(name, *words, "--control", "127.0.0.1:1")

    assert status == 1
    assert "no sentinel service answers at 127.0.0.1:1" in told
    assert "sentinel serve" in told


@pytest.mark.parametrize("name", ["serve", *COMPANIONS])
def test_help_has_an_example(name: str) -> None:
    """One can begin with what --help shows."""
    assert f"sentinel {name}" in run(name, "--help")[1].partition("Example")[2]


def test_a_table_shows_what_is_wrong() -> None:
    """What holds the service back stands above the browsers."""
    facts = {
        "version": "1",
        "uptime": 61.0,
        "health": "degraded",
        "readiness": {"ready": False, "reason": "memory", "leased": 1, "slots": 8, "waiting": 2},
        "pool": {
            "browsers": [
                {
                    "name": "browser-1",
                    "engine": "chromium",
                    "state": "ready",
                    "leases": 1,
                    "served": 7,
                    "pss": 1 << 20,
                    "age": 60.0,
                    "last_probe_ago": None,
                    "last_probe_ok": None,
                }
            ],
            "leases": [
                {
                    "id": "lease-1",
                    "owner": "[red]me[/red]",
                    "engine": "chromium",
                    "browser": "browser-1",
                    "age": 2.0,
                }
            ],
            "maximum": 2,
            "generation": 1,
            "memory": {"used": 1 << 30, "budget": 1 << 30, "paused": "all of it is used"},
            "breakers": [{"key": "firefox", "state": "open", "cause": "it is not installed"}],
        },
    }
    console = Console(width=120, markup=False, file=io.StringIO())

    console.print(picture(facts))

    told = console.file.getvalue()  # type: ignore[attr-defined]
    for words in (
        *("degraded, not ready (memory)", "1 of 8 slots leased, 2 waiting", "all of it is used"),
        *("breaker of firefox open: it is not installed", "none yet", "[red]me[/red]", "1 MiB"),
    ):
        assert words in told
