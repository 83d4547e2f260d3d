"""A suite on the browsers of a service: `--sentinel-pool`, and what happens when that goes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Playwright

from tests.runs import Scratch, slack, wait_until
from tests.service.serving import Service, service

pytestmark = pytest.mark.browser

SUITE = """
@pytest.mark.parametrize("number", range(4))
def test_page(page, number):
    page.set_content(f"<title>{number}</title>")
    assert page.title() == str(number)
"""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for the tests that leave it as it was."""
    with service(tmp_path_factory.mktemp("service"), "--min", "1") as found:
        wait_until(found.browsers, 30 * slack(), "a warm browser")
        yield found


def chromiums(scratch: Scratch) -> list[str]:
    """Return what a scratch run left in its temporary directory: profiles of its own browsers."""
    return [path.name for path in scratch.temporary.iterdir()]


def test_every_worker_has_one_lease(pytester: pytest.Pytester, shared: Service) -> None:
    """Tests pass; each worker holds one connection, named after the run and itself."""
    scratch = Scratch(pytester, SUITE)
    before = len(shared.named("lease.granted"))

    result = scratch.run("-n", "2", f"--sentinel-pool={shared.ws}")

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines([f"sentinel: browsers of the pool at {shared.ws}"])
    owners = sorted(event["owner"] for event in shared.named("lease.granted")[before:])
    run = scratch.record()[0]
    assert owners == [f"{run.id}/gw0", f"{run.id}/gw1"]  # type: ignore[union-attr]
    assert chromiums(scratch) == []
    wait_until(lambda: not shared.leases(), 2 * slack(), "the end of the leases")


DRIVER_DIES = """
def test_dies(page, once):
    if once():
        for process in psutil.Process().children():
            if "run-driver" in process.cmdline():
                process.kill()
    page.set_content("<title>here</title>")
    assert page.title() == "here"

def test_after(page):
    page.set_content("<title>after</title>")
"""


def test_a_driver_that_dies_takes_another_lease(pytester: pytest.Pytester, shared: Service) -> None:
    """Its lease ends with it; the next driver connects anew, to a browser that lived on."""
    scratch = Scratch(pytester, DRIVER_DIES)
    scratch.run(f"--sentinel-pool={shared.ws}").assert_outcomes(passed=2)
    assert [event.detail for event in scratch.events("driver-died")] == [
        "Playwright's driver died (SIGKILL)"
    ]
    assert len(scratch.attempts()) == 3
    wait_until(lambda: not shared.leases(), 2 * slack(), "the end of the leases")


FILES = """
def test_download(page):
    page.set_content("<a download=a.txt href='data:text/plain,hello'>x</a>")
    with page.expect_download() as found:
        page.click("a")
    found.value.save_as(HERE / "saved.txt")
    assert (HERE / "saved.txt").read_text() == "hello"
    assert found.value.path().read_text() == "hello"


def test_video(browser):
    context = browser.new_context(record_video_dir=HERE / "videos")
    page = context.new_page()
    path = page.video.path()
    context.close()
    assert path.exists()


def test_upload(page):
    page.set_content("<input type=file>")
    page.set_input_files("input", HERE / "conftest.py")
    assert page.evaluate("document.querySelector('input').files[0].name") == "conftest.py"
"""


def test_files_are_found_on_the_same_machine(pytester: pytest.Pytester, shared: Service) -> None:
    """Paths of downloads and videos are good, as with a browser of one's own."""
    Scratch(pytester, FILES).run(f"--sentinel-pool={shared.ws}").assert_outcomes(passed=3)


def test_files_elsewhere_are_asked_for_otherwise(
    pytester: pytest.Pytester, shared: Service
) -> None:
    """Between machines a path means nothing, and the error says what does."""
    kit = "import pytest_sentinel.leasing\npytest_sentinel.leasing.machine_identity = lambda: 'x'\n"
    result = Scratch(pytester, FILES, kit).run(f"--sentinel-pool={shared.ws}")

    result.assert_outcomes(failed=2, passed=1)
    assert result.stdout.str().count("Use save_as() to save a local copy") >= 2


def test_artifacts_are_kept(pytester: pytest.Pytester, shared: Service) -> None:
    """Traces, videos and screenshots of pytest-playwright come from a leased browser too."""
    scratch = Scratch(pytester, "def test_it(page):\n    page.set_content('x')\n")

    scratch.run(
        *(f"--sentinel-pool={shared.ws}", "--tracing=on", "--video=on", "--screenshot=on")
    ).assert_outcomes(passed=1)

    kinds = {path.suffix for path in (scratch.path / "test-results").rglob("*.*")}
    assert kinds == {".zip", ".webm", ".png"}


CRASHING = """
import json
import urllib.request


def test_crash(page, once):
    if once():
        with urllib.request.urlopen(os.environ["CONTROL"]) as answer:
            (browser,) = json.load(answer)["pool"]["browsers"]
        for process in psutil.Process(browser["pid"]).children(recursive=True):
            if "--type=" not in " ".join(process.cmdline()):
                process.kill()
    page.goto("about:blank")
    assert page.evaluate("1 + 1") == 2


def test_after(page):
    assert page.evaluate("1 + 1") == 2
"""


def test_a_crash_elsewhere_is_survived(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test whose leased browser died runs again, on another lease."""
    with service(tmp_path, "--min", "1", "--max", "1") as found:
        wait_until(found.browsers, 30 * slack(), "a warm browser")
        monkeypatch.setenv("CONTROL", f"http://{found.control}/status")
        scratch = Scratch(pytester, CRASHING)

        result = scratch.run(f"--sentinel-pool={found.ws}")

        result.assert_outcomes(passed=2)
        (crashed,) = [attempt for attempt in scratch.attempts() if attempt.outcome == "crashed"]
        assert crashed.crash is not None
        assert crashed.crash.how == "lost"
        assert "the lease of the browser ended" in crashed.crash.what


DYING = """
import time


def test_victim(browser, once):
    if once():
        for _ in range(3):
            browser.new_context().new_page()
        (HERE / "died.txt").write_text(str(time.time()))
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("number", range(6))
def test_bystander(page, number):
    page.set_content(f"<title>{number}</title>")
    assert page.title() == str(number)
"""


def test_a_killed_worker_gives_its_lease_back(
    pytester: pytest.Pytester, shared: Service, playwright: Playwright
) -> None:
    """Its lease ends and its contexts are gone, its test is named, and the others pass."""
    scratch = Scratch(pytester, DYING)
    before = len(shared.named("lease.ended"))

    result = scratch.run("-n", "2", f"--sentinel-pool={shared.ws}")

    result.assert_outcomes(passed=6, failed=1)
    result.stdout.fnmatch_lines(["*crashed while running 'test_it.py::test_victim*"])
    wait_until(lambda: not shared.leases(), 2 * slack(), "the end of the leases")
    died = float((scratch.path / "died.txt").read_text())
    first = shared.named("lease.ended")[before]
    assert datetime.fromisoformat(first["at"]).timestamp() - died < 2.0 * slack()
    browser = playwright.chromium.connect(f"{shared.ws}/chromium?owner=look")
    session = browser.new_browser_cdp_session()
    wait_until(
        lambda: not session.send("Target.getBrowserContexts")["browserContextIds"],
        5 * slack(),
        "a browser without contexts",
    )
    browser.close()
    assert not shared.named("browser.crashed")


GOING = """
@pytest.mark.parametrize("number", range(6))
def test_it(page, number, once):
    if number == 2 and once():
        os.kill(int(os.environ["SERVICE"]), signal.SIGKILL)
    page.goto("about:blank")
    assert page.evaluate("1 + 1") == 2
"""


@pytest.mark.parametrize("fallback", [False, True], ids=["no-fallback", "fallback"])
def test_a_service_that_goes(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fallback: bool
) -> None:
    """The rest of the run fails at once with the reason, or goes on with its own browsers."""
    found = Service(tmp_path, "--min", "1")
    try:
        found.wait_started()
        wait_until(found.browsers, 30 * slack(), "a warm browser")
        monkeypatch.setenv("SERVICE", str(found.process.pid))
        scratch = Scratch(pytester, GOING)
        began = time.monotonic()
        # Half of this time a service that has gone is waited for.
        options = ["--sentinel-launch-timeout=10s", *["--sentinel-pool-fallback"] * fallback]
        result = scratch.run(f"--sentinel-pool={found.ws}", *options)
        took = time.monotonic() - began
        output = result.stdout.str()
        if fallback:
            assert result.parseoutcomes()["passed"] == 6
            assert "a browser was launched here instead: no chromium from the pool" in output
        else:
            result.assert_outcomes(passed=2, errors=4)
            assert f"no chromium from the pool: {found.ws}: no service answers there" in output
            assert "--sentinel-pool-fallback" in output
        assert took < 30 * slack()
        wait_until(lambda: not found.processes(), 10 * slack(), "an end of the dead service's own")
    finally:
        found.close()


def test_the_next_service_is_tried(
    pytester: pytest.Pytester, tmp_path: Path, shared: Service, playwright: Playwright
) -> None:
    """One that is gone and one that is full do not keep a run from the third."""
    with service(tmp_path, "--max", "1", "--contexts-per-browser", "1") as full:
        browser = playwright.chromium.connect(f"{full.ws}/chromium")
        before = len(shared.named("lease.granted"))
        Scratch(pytester, SUITE).run(
            f"--sentinel-pool=ws://127.0.0.1:1,{full.ws},{shared.ws}"
        ).assert_outcomes(passed=4)
        assert len(shared.named("lease.granted")) == before + 1
        browser.close()


def test_launch_arguments_are_not_swallowed(pytester: pytest.Pytester, shared: Service) -> None:
    """What a leased browser cannot honour is an error, not a surprise."""
    result = Scratch(pytester, SUITE).run(f"--sentinel-pool={shared.ws}", "--headed")

    result.assert_outcomes(errors=4)
    result.stdout.fnmatch_lines(
        ["*browser_type_launch_args: 'headless' cannot be had from a pool*"]
    )


def test_a_token_is_shown(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """The word in the file opens the service; it is not in the record, nor in any output."""
    token = "a-secret-of-many-letters"
    (tmp_path / "token").write_text(token)
    with service(tmp_path, "--token-file", str(tmp_path / "token")) as found:
        scratch = Scratch(pytester, SUITE)
        asked = f"--sentinel-pool={found.ws}"
        good = scratch.run(asked, f"--sentinel-pool-token-file={tmp_path / 'token'}")
        good.assert_outcomes(passed=4)
        bad = scratch.run(asked)
        bad.assert_outcomes(errors=4)
        assert "a token is needed" in bad.stdout.str()
        runs = (scratch.path / ".sentinel" / "runs").rglob("run.jsonl")
        told = "".join(path.read_text() for path in runs) + good.stdout.str() + bad.stdout.str()
        assert token not in told + str(found.events)


@pytest.mark.parametrize(
    "text", ["127.0.0.1:9323", "ws://a/chromium", "ws://a?token=b", "http://a", "ws://a,"]
)
def test_a_bad_list_is_a_usage_error(pytester: pytest.Pytester, text: str) -> None:
    """It is refused before a test runs, with a good one."""
    result = Scratch(pytester, SUITE).run_here(f"--sentinel-pool={text}")

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--sentinel-pool*a good value is ws://127.0.0.1:9323*"])


CONNECTING = """
def test_it(playwright):
    browser = playwright.chromium.connect(os.environ["SERVICE"] + "/chromium")
    browser.new_page()
    browser.close()
"""


def test_a_connection_that_was_closed_is_no_leak(
    pytester: pytest.Pytester, shared: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that connects by itself, and hangs up, leaves nothing open."""
    monkeypatch.setenv("SERVICE", shared.ws)

    Scratch(pytester, CONNECTING).run("--sentinel-leaks=error").assert_outcomes(passed=1)
