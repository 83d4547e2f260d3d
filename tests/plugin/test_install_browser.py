"""`sentinel install-browser`: the real Playwright download failing, and apt as a recorded shim."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pytest_sentinel import install
from pytest_sentinel.errors import InstallationFailed

ROOT = Path(__file__).parents[2]
INSTALL = "install -y chromium-headless-shell ffmpeg libatomic1"
SUPPLY = """
for name in chromium-headless-shell ffmpeg; do
  /bin/cp /bin/true {bin}/$name
done
"""


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A folder that other users can enter too, with an empty bin and an empty home."""
    with tempfile.TemporaryDirectory(prefix="sentinel-test-", dir="/tmp") as folder:
        place = Path(folder)
        for name in (".", "bin", "home", "tmp"):
            (place / name).mkdir(exist_ok=True)
            (place / name).chmod(0o777)
        yield place


@pytest.fixture
def environ(scratch: Path) -> dict[str, str]:
    """An environment without a browser, whose Playwright finds no server to download from."""
    return {
        "HOME": f"{scratch}/home",
        "PATH": f"{scratch}/bin",
        "TMPDIR": f"{scratch}/tmp",
        "PYTHONPATH": str(ROOT),
        **{name: value for name, value in os.environ.items() if name.startswith("COV")},
        "PLAYWRIGHT_DOWNLOAD_HOST": "http://127.0.0.1:9",
    }


# The interpreter may lie where only root can read, so all is imported before root is given up.
AS_NOBODY = """
import os
from pytest_sentinel import cli, install
os.setgid(65534)
os.setuid(65534)
cli.main()
"""


def sentinel(
    environ: dict[str, str], *words: str, start: tuple[str, str] = ("-m", "pytest_sentinel.cli")
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *start, "install-browser", *words],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def shim(scratch: Path, name: str, script: str) -> None:
    """Put a command on PATH that records its arguments and then runs ``script``."""
    path = scratch / "bin" / name
    record = f'echo "{name} $*" >> {scratch}/tmp/calls'
    path.write_text(f"#!/bin/sh\n{record}\n{script.format(bin=scratch / 'bin')}\n")
    path.chmod(0o755)


def calls(scratch: Path) -> list[str]:
    """Return what the shims were called with, in order."""
    record = scratch / "tmp/calls"
    return record.read_text().splitlines() if record.exists() else []


def test_what_is_usable_is_left_alone(environ: dict[str, str], scratch: Path) -> None:
    """With a browser and an ffmpeg on PATH nothing is run, and it says so."""
    shim(scratch, "apt-get", "exit 1")
    for name in ("chromium", "ffmpeg"):
        shutil.copy("/bin/true", scratch / "bin" / name)

    done = sentinel(environ)

    assert (done.returncode, calls(scratch)) == (0, [])
    assert done.stdout.startswith("nothing to do: ")


def test_apt_follows_a_download_that_fails(environ: dict[str, str], scratch: Path) -> None:
    """Playwright's download fails for real, then apt supplies the packages."""
    shim(scratch, "apt-get", SUPPLY)

    done = sentinel(environ)

    assert done.returncode == 0, done.stderr
    assert calls(scratch) == [f"apt-get {INSTALL}"]
    assert "trying: playwright install chromium" in done.stdout
    assert "ECONNREFUSED" in done.stderr
    assert "failed: it ended with status 1" in done.stdout
    assert "chromium-headless-shell" in done.stdout.splitlines()[-1]


def test_system_asks_apt_alone(environ: dict[str, str], scratch: Path) -> None:
    """With --system nothing is downloaded from Playwright's servers."""
    shim(scratch, "apt-get", SUPPLY)

    done = sentinel(environ, "--system")

    assert (done.returncode, calls(scratch)) == (0, [f"apt-get {INSTALL}"])
    assert "playwright install" not in done.stdout


def test_stale_package_lists_are_updated(environ: dict[str, str], scratch: Path) -> None:
    """In a fresh container apt knows no package until its lists are fetched."""
    shim(
        scratch,
        "apt-get",
        '[ "$1" = update ] && : > {bin}/updated && exit 0\n[ -e {bin}/updated ] || exit 100'
        + SUPPLY,
    )

    done = sentinel(environ, "--system")

    assert done.returncode == 0, done.stderr
    assert calls(scratch) == [f"apt-get {INSTALL}", "apt-get update", f"apt-get {INSTALL}"]


def test_only_what_is_missing_counts(environ: dict[str, str], scratch: Path) -> None:
    """A browser without an ffmpeg is not yet enough, and what is lacking is named."""
    shim(scratch, "apt-get", SUPPLY)
    shutil.copy("/bin/true", scratch / "bin/chromium")

    done = sentinel(environ, "--system")

    assert done.stdout.splitlines()[0] == "missing: ffmpeg"
    assert done.returncode == 0


def test_when_nothing_works_each_attempt_is_told(environ: dict[str, str], scratch: Path) -> None:
    """The error names what was tried and how each ended; the status is 1."""
    shim(scratch, "apt-get", "exit 100")

    done = sentinel(environ)

    assert done.returncode == 1
    error = done.stderr[done.stderr.index("Error: could not install") :]
    assert "could not install chromium and ffmpeg" in error
    assert "playwright install chromium: it ended with status 1" in error
    assert f"apt-get {INSTALL}: it ended with status 100" in error


def test_an_installer_is_not_believed(environ: dict[str, str], scratch: Path) -> None:
    """Ending well without a browser is a failure."""
    shim(scratch, "apt-get", "exit 0")

    done = sentinel(environ, "--system")

    assert done.returncode == 1
    assert "it ended well, and yet there is no chromium and ffmpeg" in done.stderr


def test_without_any_installer(environ: dict[str, str]) -> None:
    """No apt-get and no download: a clear error instead of a traceback."""
    done = sentinel(environ, "--system")

    assert done.returncode == 1
    assert "there is no installer to try here" in done.stderr


def test_other_engines_come_from_playwright_alone(environ: dict[str, str], scratch: Path) -> None:
    """No package of the system stands in for Playwright's Firefox."""
    shim(scratch, "apt-get", SUPPLY)

    done = sentinel(environ, "--engine", "firefox")

    assert (done.returncode, calls(scratch)) == (1, [])
    assert "could not install firefox" in done.stderr


def test_an_ordinary_user_goes_through_sudo(environ: dict[str, str], scratch: Path) -> None:
    """Without root, and without a terminal to ask for a password, sudo is run so that it fails."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    shim(scratch, "apt-get", SUPPLY)
    shim(scratch, "sudo", 'shift; exec "$@"')
    # Coverage's file is root's.
    unmeasured = {name: value for name, value in environ.items() if not name.startswith("COV")}

    done = sentinel(unmeasured, "--system", start=("-c", AS_NOBODY))

    assert done.returncode == 0, done.stderr
    apt = f"{scratch}/bin/apt-get"
    assert calls(scratch) == [f"sudo --non-interactive {apt} {INSTALL}", f"apt-get {INSTALL}"]


def test_an_installer_that_hangs_is_ended(environ: dict[str, str], scratch: Path) -> None:
    """Each installer has its time-out, and what it started goes with it."""
    shim(scratch, "apt-get", "/bin/sleep 600 & wait")
    before = psutil.Process().children(recursive=True)

    with pytest.raises(InstallationFailed) as caught:
        install.install("chromium", environ, lambda line: None, system=True, timeout=0.5)

    assert [why for _, why in caught.value.attempts] == ["it did not end within 500 ms"] * 2
    assert psutil.Process().children(recursive=True) == before
    assert not [
        p for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["/bin/sleep", "600"]
    ]


def test_it_installs_into_the_real_registry(environ: dict[str, str], scratch: Path) -> None:
    """Run from inside a test run, it takes the overlay out of the environment first."""
    shutil.copy("/bin/true", scratch / "bin/chromium")
    inherited = dict(environ)
    install.browsers.prepare(inherited)
    assert "PLAYWRIGHT_BROWSERS_PATH" in inherited
    shim(scratch, "apt-get", 'echo "$PLAYWRIGHT_BROWSERS_PATH" > {bin}/seen' + SUPPLY)

    assert sentinel(inherited, "--system").returncode == 0
    assert (scratch / "bin/seen").read_text() == "\n"
