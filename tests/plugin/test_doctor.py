"""`sentinel doctor` as a person runs it, and each of its checks against something real."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from pytest_sentinel import browsers, doctor, machine

ROOT = Path(__file__).parents[2]
NEEDED = {"pytest": "9.2.0", "pytest-playwright": "0.10.0", "playwright": "1.65.2", "locust": None}


@pytest.fixture
def scratch(tmp_path: Path) -> dict[str, str]:
    """An environment with an empty home, and a PATH with nothing but what a test puts there."""
    for name in ("bin", "home", "tmp"):
        (tmp_path / name).mkdir()
    return {
        "HOME": str(tmp_path / "home"),
        "PATH": str(tmp_path / "bin"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": str(ROOT),
        **{name: value for name, value in os.environ.items() if name.startswith("COV")},
    }


def sentinel(environ: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest_sentinel.cli", *words],
        env=environ,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def rendered(*findings: machine.Finding) -> str:
    console = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    with console.file:
        console.print(doctor.table(list(findings)))
    return console.export_text()


@pytest.mark.browser
def test_a_good_machine_gets_exit_status_0(scratch: dict[str, str]) -> None:
    """With a browser that launches, the table shows how fast, and the status is 0."""
    scratch["PATH"] = os.environ["PATH"]
    if browsers.prepare(dict(scratch)).source == "missing":
        pytest.skip("needs a browser")

    done = sentinel(scratch, "doctor")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "showed a page in" in " ".join(done.stdout.split())
    assert os.listdir(scratch["TMPDIR"]) == []


def test_no_browser_is_a_fault_with_its_fix(scratch: dict[str, str]) -> None:
    """Without any browser the status is 1, and nothing is launched."""
    done = sentinel(scratch, "doctor", "--json")

    answer = json.loads(done.stdout)
    found = {finding["check"]: finding for finding in answer["findings"]}
    assert (done.returncode, answer["healthy"]) == (1, False)
    assert found["browser"]["verdict"] == "fault"
    assert found["browser"]["fix"] == "sentinel install-browser"
    assert found["ffmpeg"]["verdict"] == "warning"
    assert "launch" not in found


def test_a_browser_that_cannot_start_is_a_fault(scratch: dict[str, str]) -> None:
    """A binary that is found and does not run is told by its launch alone."""
    shutil.copy("/bin/true", f"{scratch['PATH']}/chromium")

    done = sentinel(scratch, "doctor", "--json")
    skipped = sentinel(scratch, "doctor", "--json", "--no-launch")

    assert (done.returncode, skipped.returncode) == (1, 0)
    verdicts = {one["check"]: one["verdict"] for one in json.loads(done.stdout)["findings"]}
    assert (verdicts["browser"], verdicts["launch"]) == ("ok", "fault")


def test_a_missing_library_is_named(scratch: dict[str, str]) -> None:
    """What the dynamic loader complains about is the cause, not Playwright's summary."""
    broken = Path("/bin/true").read_bytes().replace(b"libc.so.6", b"libq.so.6")
    binary = Path(scratch["PATH"], "chromium")
    binary.write_bytes(broken)
    binary.chmod(0o755)
    browsers.prepare(scratch)

    found = doctor.check_launch(scratch)

    assert found.verdict == "fault"
    assert "error while loading shared libraries: libq.so.6" in found.detail
    assert "install-deps" in found.fix


def test_a_launch_that_takes_too_long_is_ended(scratch: dict[str, str]) -> None:
    """The check is bounded, and nothing of it survives."""
    scratch["PATH"] = os.environ["PATH"]
    before = psutil.Process().children(recursive=True)

    found = doctor.check_launch(scratch, timeout=0.05)

    assert (found.verdict, found.detail) == ("fault", "no page was loaded within 50 ms")
    assert psutil.Process().children(recursive=True) == before
    assert os.listdir(scratch["TMPDIR"]) == []


def test_a_crashing_check_is_a_fault(scratch: dict[str, str]) -> None:
    """A Playwright that cannot even be imported is told by the last line of its traceback."""
    package = Path(scratch["HOME"], "playwright")
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('greenlet is broken')")
    scratch["PYTHONPATH"] = scratch["HOME"]

    found = doctor.check_launch(scratch)

    assert (found.verdict, found.detail) == ("fault", "ImportError: greenlet is broken")


@pytest.mark.parametrize(
    ("playwright", "python", "leaks"),
    [
        ("1.65.2", (3, 14, 3), []),
        ("1.64.0", (3, 11, 7), ["connect()"]),
        ("1.64.0", (3, 14, 6), ["synchronous call", "connect()"]),
        ("1.64.0", (3, 14, 7), ["connect()"]),
        ("1.55.0", (3, 13, 0), ["#2977", "connect()"]),
    ],
)
def test_known_leaks_by_version(playwright: str, python: tuple[int, ...], leaks: list[str]) -> None:
    """Versions with leaks of their own are told, so that nobody hunts them in his tests."""
    found = list(doctor.known_leaks(playwright, python))

    assert len(found) == len(leaks)
    assert all(leak in text for leak, text in zip(leaks, found, strict=True))


def test_missing_packages() -> None:
    """What tests cannot do without is a fault; xdist is a choice; markup-like text is shown."""
    versions = {**dict.fromkeys(NEEDED), "pytest-xdist": None}
    found = {one.check: one for one in doctor.check_versions(versions, (3, 11, 7))}

    assert [found[name].verdict for name in ("python", "pytest", "playwright")] == [
        "ok",
        "fault",
        "fault",
    ]
    assert found["pytest-xdist"].verdict == "ok"
    assert "pytest-sentinel[xdist]" in rendered(*found.values())
    assert "fix: pip install pytest-sentinel" in rendered(*found.values())


def test_leaky_versions_are_warnings() -> None:
    """A known leak is a warning with its fix, and warnings leave the machine healthy."""
    versions = {**NEEDED, "playwright": "1.60.0", "pytest-xdist": "3.8.0"}
    found = list(doctor.check_versions(versions, (3, 11, 7)))

    assert [one.verdict for one in found] == ["ok"] * 5 + ["warning"]
    assert doctor.is_healthy(found)


def test_locust_is_mentioned_only_where_it_is() -> None:
    """The note on --host is for those who have Locust."""
    assert list(doctor.check_locust(None)) == []
    (note,) = doctor.check_locust("2.47.0")
    assert (note.verdict, "--host" in note.detail) == ("ok", True)


def test_a_playwright_that_is_left_alone_has_its_own_ffmpeg() -> None:
    """Where nothing is known of Playwright's browsers nothing is claimed of its ffmpeg."""
    choice = browsers.BrowserChoice(None, "playwright", "left to Playwright: macOS")

    assert doctor.check_ffmpeg(choice).verdict == "ok"
    assert doctor.check_browser(choice).detail == "left to Playwright: macOS"


def test_shared_memory() -> None:
    """A small /dev/shm is a warning only, an absent one not even that."""
    assert machine.check_shared_memory("/proc").verdict == "warning"
    assert machine.check_shared_memory("/nowhere").verdict == "ok"
    assert "has" in machine.check_shared_memory().detail


def test_memory_names_what_is_left() -> None:
    """The available memory and its limit are told in human units."""
    assert "available, " in machine.check_memory().detail


def test_zombies_are_counted() -> None:
    """A dead child that nobody has waited for is found."""
    with subprocess.Popen(["/bin/true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)

        found = machine.check_reaping()

    assert found.verdict == "warning"
    assert "--init" in found.fix


@pytest.mark.parametrize(
    ("masks", "verdict"),
    [
        (("0000000000010000", "0000000000000000", "0000000000000000"), "ok"),
        (("0000000000000000", "0000000000010000", "0000000000000000"), "ok"),
        (("0000000000000000", "0000000000000000", "0000000000010000"), "ok"),
        (("00000000000004e8", "0000000000000000", "0000000000001000"), "warning"),
    ],
)
def test_an_init_that_ignores_its_children(
    tmp_path: Path, masks: tuple[str, str, str], verdict: str
) -> None:
    """Whether PID 1 reaps is read from what it does with SIGCHLD."""
    caught, blocked, ignored = masks
    (tmp_path / "1").mkdir()
    (tmp_path / "1/status").write_text(
        f"Name:\tsome\nSigBlk:\t{blocked}\nSigIgn:\t{ignored}\nSigCgt:\t{caught}\n"
    )

    assert machine.check_reaping(tmp_path, zombies=0).verdict == verdict


def test_an_init_that_cannot_be_looked_at(tmp_path: Path) -> None:
    """Without knowledge of PID 1 nothing is claimed."""
    assert machine.check_reaping(tmp_path, zombies=0).verdict == "ok"


def group(root: Path, cgroup: str, files: dict[str, str]) -> None:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(cgroup)
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.mark.parametrize(
    ("cgroup", "files", "verdict", "detail"),
    [
        ("0::/\n", {}, "ok", "no limit"),
        ("0::/\n", {"pids.max": "max\n", "pids.current": "3\n"}, "ok", "no limit"),
        ("0::/a/b\n", {"a/pids.max": "256\n", "a/pids.current": "3\n"}, "warning", "3 of 256"),
        (
            "4:pids:/x\n3:memory:/x\n",
            {"pids/x/pids.max": "4096\n", "pids/x/pids.current": "90\n"},
            "ok",
            "90 of 4096",
        ),
        (
            "0::/a\n",
            {
                "pids.max": "9000",
                "pids.current": "90",
                "a/pids.max": "400",
                "a/pids.current": "399",
            },
            "warning",
            "399 of 400",
        ),
    ],
)
def test_the_process_limit_of_the_cgroup(
    tmp_path: Path, cgroup: str, files: dict[str, str], verdict: str, detail: str
) -> None:
    """The tightest limit on the way up counts, in both generations of cgroups."""
    group(tmp_path, cgroup, files)

    found = machine.check_pids(tmp_path)

    assert found.verdict == verdict
    assert detail in found.detail


@pytest.fixture
def few_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_low_limit_of_open_files(few_files: None) -> None:
    """A soft limit below 1024 is told with its remedy."""
    found = machine.check_open_files()

    assert (found.verdict, found.detail) == ("warning", "limit 512")


def test_an_orphaned_browser_is_found(tmp_path: Path) -> None:
    """A browser's main process without an owner is named by its pid; its renderers are not."""
    profile = f"--user-data-dir={tmp_path}/playwright_chromiumdev_profile-x"
    pause = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    with (
        subprocess.Popen([*pause, profile], stdin=subprocess.PIPE) as browser,
        subprocess.Popen([*pause, "--type=renderer", profile], stdin=subprocess.PIPE) as renderer,
    ):
        found = machine.check_orphans(adopters=[os.getpid()])
        unconcerned = machine.check_orphans(adopters=[])
        for process in (browser, renderer):
            assert process.stdin is not None
            process.stdin.close()

    assert found.verdict == "warning"
    assert str(browser.pid) in found.fix.split()
    assert str(renderer.pid) not in found.fix.split()
    assert str(browser.pid) not in unconcerned.fix.split()


def test_profiles_that_nobody_uses(tmp_path: Path) -> None:
    """A profile counts as stale when it is old and in no command line."""
    for name in ("old", "used", "new"):
        (tmp_path / f"playwright_chromiumdev_profile-{name}").mkdir()
    for name in ("old", "used"):
        os.utime(tmp_path / f"playwright_chromiumdev_profile-{name}", (0, 0))
    pause = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    profile = f"--user-data-dir={tmp_path}/playwright_chromiumdev_profile-used"
    with subprocess.Popen([*pause, profile], stdin=subprocess.PIPE) as browser:
        found = machine.check_profiles(tmp_path)
        assert browser.stdin is not None
        browser.stdin.close()

    assert found.verdict == "warning"
    assert found.detail.endswith(f"{tmp_path}: 1")
    (tmp_path / "playwright_chromiumdev_profile-old").rmdir()
    (tmp_path / "playwright_chromiumdev_profile-used").rmdir()
    assert machine.check_profiles(tmp_path).verdict == "ok"


def test_help_has_an_example_for_each_command(scratch: dict[str, str]) -> None:
    """Every help text ends with a line that can be copied."""
    for words in ([], ["doctor"], ["install-browser"]):
        assert "Example: sentinel" in sentinel(scratch, *words, "--help").stdout

    assert sentinel(scratch, "--version").stdout.startswith("sentinel, version ")
    assert sentinel(scratch, "docter").returncode == 2
