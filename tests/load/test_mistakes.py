"""A mistake of the command line, or in a file, is one line and an exit status; nothing has run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.load.locustkit import FLOW, HEAD
from tests.runs import slack

ROOT = Path(__file__).resolve().parents[2]
BUSY = "(busy)"

MISTAKES: dict[str, tuple[tuple[str, ...], int, str]] = {
    "no token file": (
        ("--sentinel-token-file", "nowhere"), 2, "--sentinel-token-file: 'nowhere' cannot be read",
    ),
    "a port in use": (("--sentinel-metrics", BUSY), 1, "cannot listen at"),
    "nobody there": (("--sentinel-pool", "ws://127.0.0.1:1"), 1, "no service answers at"),
    "no scheme": (("--host", "127.0.0.1:8000"), 1, "host: '127.0.0.1:8000' is no URL that a"),
}  # fmt: skip


def locust(
    directory: Path, *words: str, module: str = "locust"
) -> subprocess.CompletedProcess[str]:
    """Run Locust, or our command, to its end."""
    return subprocess.run(
        [sys.executable, "-m", module, *words],
        cwd=directory, capture_output=True, text=True, timeout=60 * slack(), check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "1000"},
    )  # fmt: skip


def said(told: subprocess.CompletedProcess[str]) -> list[str]:
    """Return what it wrote as errors, without Locust's log and click's two lines of usage."""
    usage = ("Usage:", "Try '", "[20")
    return [line for line in told.stderr.splitlines() if line and not line.startswith(usage)]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_bad_option_is_one_line(tmp_path: Path, name: str) -> None:
    """It says which option, what is wrong with it, and what would be right."""
    words, status, sentence = MISTAKES[name]
    (tmp_path / "shop.py").write_text(HEAD + FLOW)
    (tmp_path / "short.txt").write_text("secret\n")
    with socket.create_server(("127.0.0.1", 0)) as busy:
        place = f"127.0.0.1:{busy.getsockname()[1]}"
        words = tuple(word.replace(BUSY, place) for word in words)
        told = locust(tmp_path, "-f", "shop.py", "--headless", "-t", "60s", *words)

    assert told.returncode == status, told.stdout + told.stderr
    assert len(said(told)) == 1, told.stderr
    assert sentence in told.stderr


FILES: dict[str, tuple[str | None, tuple[str, ...], str]] = {
    "missing": (None, (), "shop.py: there is no such file"),
    "no Python": ("class Shopper(:\n", (), "shop.py:1: cannot be imported: invalid syntax"),
    "raises": ("raise SystemExit(3)", ("--dry-run",), "cannot be imported: SystemExit(3)"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_a_bad_file_is_one_line(tmp_path: Path, name: str) -> None:
    """``sentinel load run`` says what is wrong with a locustfile, and where."""
    content, more, sentence = FILES[name]
    if content is not None:
        (tmp_path / "shop.py").write_text(content)
    told = locust(tmp_path, "load", "run", "shop.py", *more, module="pytest_sentinel.cli")

    assert told.returncode == 1, told.stdout + told.stderr
    assert len(said(told)) == 1, told.stderr
    assert sentence in told.stderr


def test_the_command_leaves_locusts_configuration_alone(tmp_path: Path) -> None:
    """Its defaults override neither locust.conf nor LOCUST_*; a file without us is run as well."""
    (tmp_path / "locustfile.py").write_text(
        "from locust import User, constant, events, task\n"
        "class Idler(User):\n"
        "    wait_time = constant(0.1)\n"
        "    @task\n"
        "    def idle(self):\n"
        "        pass\n"
        "@events.init.add_listener\n"
        "def show(environment, **_):\n"
        "    given = environment.parsed_options\n"
        "    print('given', given.num_users, given.spawn_rate, given.run_time, given.headless,\n"
        "          given.sentinel_artifacts, flush=True)\n"
    )
    (tmp_path / "locust.conf").write_text("users = 3\nspawn-rate = 7\nsentinel-artifacts = kept\n")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "LOCUST_RUN_TIME": "1s"}
    told = subprocess.run(
        [sys.executable, "-m", "pytest_sentinel.cli", "load", "run",
         "--gate", "error_rate: rate < 1%"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60 * slack(), check=False,
        env=environment,
    )  # fmt: skip

    assert "given 3 7.0 1 True kept" in told.stdout, told.stdout + told.stderr
    assert "Iterations without a browser: Idler.idle" in told.stdout
    assert told.returncode == 98  # no request was made


def test_a_report_that_cannot_be_written_takes_nothing_along(tmp_path: Path) -> None:
    """One line says so at the end; the other files and the gates' status are there."""
    (tmp_path / "shop.py").write_text(
        "from locust import User, constant, task\n"
        "from pytest_sentinel.load import require\n"
        "require('error_rate: rate < 1%')\n"
        "class Idler(User):\n"
        "    wait_time = constant(0.1)\n"
        "    @task\n"
        "    def idle(self):\n"
        "        pass\n"
    )
    words = ("--sentinel-report", str(tmp_path), "--sentinel-summary", "summary.json")
    told = locust(tmp_path, "-f", "shop.py", "--headless", "-t", "1s", *words)

    assert told.returncode == 98, told.stderr
    assert f"sentinel: --sentinel-report: [Errno 21] Is a directory: '{tmp_path}'" in told.stderr
    assert "Traceback" not in told.stderr
    assert (tmp_path / "summary.json").exists()
