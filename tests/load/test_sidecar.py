"""The sidecar without Locust: iterations, steps, what failures leave, deaths, and its own end."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import psutil
import pytest

from pytest_sentinel.load import wire
from tests.larder.process import Larder
from tests.load.sidecarkit import Talk, sidecar, wait_gone
from tests.runs import slack

pytestmark = pytest.mark.browser

FLOW = """
@task
async def buy(self, page, step):
    async with step("meals"):
        await page.goto("/meals")
    async with step("kitchen"):
        await page.get_by_role("link", name="Kitchen").click()
        await page.locator("#kitchen li button").first.click()


@task
async def fail(self, page, step):
    async with step("meals"):
        await page.goto("/meals")
    async with step("nowhere"):
        await page.click("text=Nowhere", timeout=50)


@task
async def swallow(self, page, step):
    try:
        async with step("nowhere"):
            await page.click("text=Nowhere", timeout=50)
    except Exception:
        pass


@task
async def outside(self, page, step):
    raise ValueError("outside of steps")


@task
async def wait(self, page, step):
    async with step("for ever"):
        (HERE / "waiting").touch()
        await asyncio.Event().wait()


@task
async def spin(self, page, step):
    (HERE / "waiting").touch()
    while True:
        pass


@task
async def remember(self, page, step):
    async with step("kept"):
        await page.goto("/meals")
        seen = await page.evaluate("document.cookie")
        await page.evaluate("document.cookie = 'mark=1'")
        self.visits = getattr(self, "visits", 0) + 1
        assert seen == SEEN, (seen, self.visits)
"""


def users(**attributes: object) -> str:
    """Return the code of a locustfile with all tasks."""
    told = ", ".join(f"{name}={value!r}" for name, value in attributes.items())
    tasks = "buy=buy, fail=fail, swallow=swallow, outside=outside, wait=wait, spin=spin"
    return f"SEEN = ''\n{FLOW}\nShopper = user({tasks}, remember=remember, {told})\n"


def test_an_iteration_tells_its_steps_and_its_end(tmp_path: Path, larder: Larder) -> None:
    """Steps come in order, each with its time; the end comes last, with the vitals of each page."""
    with sidecar(tmp_path, users()) as talk:
        assert talk.hear(wire.Ready).pid == talk.process.pid
        talk.run(7, host=larder.url)
        ended = talk.hear(wire.Ended, 7)
        steps = [talk.hear(wire.StepEnded, 7) for _ in range(2)]

        assert [(step.step, step.failure) for step in steps] == [("meals", None), ("kitchen", None)]
        assert (ended.outcome, ended.failure) == ("passed", None)
        assert sum(step.seconds for step in steps) <= ended.seconds
        assert [load.page for load in ended.loads] == ["meals", "kitchen"]
        for load in ended.loads:
            assert None not in (load.ttfb, load.fcp, load.lcp, load.cls)
        assert ended.loads[1].inp is not None


def test_a_failed_step_ends_its_iteration(tmp_path: Path, larder: Larder) -> None:
    """The failure is told once, by the step; the first leaves a screenshot, the next a trace."""
    with sidecar(tmp_path, users()) as talk:
        for number in range(3):
            talk.run(number, "Shopper.fail", host=larder.url)
            ended = talk.hear(wire.Ended, number)
            good, bad = talk.hear(wire.StepEnded, number), talk.hear(wire.StepEnded, number)

            assert (good.step, good.failure) == ("meals", None)
            assert bad.failure is not None
            assert bad.failure.kind == "TimeoutError"
            assert (ended.outcome, ended.in_step) == ("failed", True)
        kept = sorted(path.suffix for path in (tmp_path / "artifacts").iterdir())
        assert kept == [".png", ".zip"]


def test_a_failed_step_that_is_caught_fails_its_iteration_all_the_same(tmp_path: Path) -> None:
    """A scenario cannot make a failed flow green."""
    with sidecar(tmp_path, users(artifacts="off")) as talk:
        talk.run(1, "Shopper.swallow")

        ended = talk.hear(wire.Ended, 1)
        assert (ended.outcome, ended.in_step) == ("failed", True)
        assert not (tmp_path / "artifacts").exists()


def test_a_failure_outside_of_steps_is_told_by_the_end(tmp_path: Path) -> None:
    """Nothing is lost because no step was under way."""
    with sidecar(tmp_path, users()) as talk:
        talk.run(1, "Shopper.outside")

        ended = talk.hear(wire.Ended, 1)
        assert ended.failure is not None
        assert (ended.outcome, ended.in_step) == ("failed", False)
        assert (ended.failure.kind, ended.failure.message) == ("ValueError", "outside of steps")


def test_an_unknown_task_is_not_the_applications_fault(tmp_path: Path) -> None:
    """The worker hears what is missing."""
    with sidecar(tmp_path, users()) as talk:
        talk.run(1, "Shopper.sell")

        ended = talk.hear(wire.Ended, 1)
        assert ended.failure is not None
        assert ended.outcome == "infrastructure"
        assert "has no task Shopper.sell" in ended.failure.message


@pytest.mark.parametrize(("isolation", "second"), [("iteration", "passed"), ("user", "failed")])
def test_isolation_is_what_was_asked_for(
    tmp_path: Path, larder: Larder, isolation: str, second: str
) -> None:
    """A new context begins with nothing; a user's goes on with his cookies. Others see neither."""
    with sidecar(tmp_path, users(isolation=isolation, artifacts="off")) as talk:
        outcomes = []
        for number, user in enumerate([1, 1, 2]):
            talk.run(number, "Shopper.remember", host=larder.url, user=user)
            outcomes.append(talk.hear(wire.Ended, number).outcome)

        assert outcomes == ["passed", second, "passed"]


def test_iterations_wait_for_a_slot_and_are_refused_in_the_end(
    tmp_path: Path, larder: Larder
) -> None:
    """No more run at once than there are slots; the wait is told apart from the work."""
    with sidecar(tmp_path, users(lease_timeout=1.0), slots=1) as talk:
        assert talk.hear(wire.Ready).slots == 1
        talk.run(0, host=larder.url)
        talk.run(1, host=larder.url)
        first, second = talk.hear(wire.Ended, 0), talk.hear(wire.Ended, 1)
        assert second.outcome == "passed" or second.failure is not None
        assert second.waited >= min(1.0, first.seconds)

        talk.run(2, "Shopper.wait")
        talk.run(3)
        refused = talk.hear(wire.Ended, 3)
        assert refused.failure is not None
        assert (refused.outcome, refused.failure.kind) == ("infrastructure", "PoolRefused")
        talk.say(wire.Cancel(2))


def test_a_cancelled_iteration_tells_nothing_more(tmp_path: Path, larder: Larder) -> None:
    """Its slot is free for the next, and nobody hears of it again."""
    with sidecar(tmp_path, users(), slots=1) as talk:
        talk.run(0, "Shopper.wait")
        talk.run(1, "Shopper.wait")  # waits for a slot
        while not (tmp_path / "waiting").exists():
            talk.hear(wire.Figures)
        talk.say(wire.Cancel(1))
        talk.say(wire.Cancel(0))
        talk.run(2, host=larder.url)

        assert talk.hear(wire.Ended).iteration == 2


def test_an_iteration_has_an_end(tmp_path: Path) -> None:
    """One that takes too long fails, and so does the step that was under way."""
    with sidecar(tmp_path, users(iteration_timeout=0.5, artifacts="off")) as talk:
        talk.run(0, "Shopper.wait")

        ended, step = talk.hear(wire.Ended, 0), talk.hear(wire.StepEnded, 0)
        assert (ended.outcome, ended.in_step, step.step) == ("failed", True, "for ever")
        assert step.failure is not None
        assert step.failure.message == "the iteration took more than 0.5 s"


@pytest.mark.parametrize("victim", ["browser", "driver"])
def test_the_death_of_a_browser_is_not_the_applications_fault(
    tmp_path: Path, larder: Larder, victim: str
) -> None:
    """What ran on it is lost, the step too; the next iteration has another browser."""
    with sidecar(tmp_path, users()) as talk:
        talk.run(0, "Shopper.wait")
        while not (tmp_path / "waiting").exists():
            talk.hear(wire.Figures)
        process = getattr(talk, victim)()
        process.send_signal(signal.SIGKILL)

        ended, step = talk.hear(wire.Ended, 0), talk.hear(wire.StepEnded, 0)
        assert step.failure is not None
        assert step.failure.kind == "BrowserLost"
        assert (ended.outcome, ended.in_step) == ("infrastructure", True)
        talk.run(1, host=larder.url)
        assert talk.hear(wire.Ended, 1).outcome == "passed"


def test_a_browser_that_hangs_is_given_up(tmp_path: Path, larder: Larder) -> None:
    """It is ended when it does not close a context in time, and its slot lives on."""
    with sidecar(tmp_path, users(step_timeout=0.5, artifacts="off"), slots=1) as talk:
        talk.run(0, "Shopper.wait")
        while not (tmp_path / "waiting").exists():
            talk.hear(wire.Figures)
        browser = talk.browser()
        browser.send_signal(signal.SIGSTOP)
        talk.say(wire.Cancel(0))
        talk.run(1, host=larder.url)

        assert talk.hear(wire.Ended, 1, seconds=40).outcome == "passed"
        assert wait_gone([browser]) == []


@pytest.mark.parametrize("how", ["close", "goodbye", "terminate"])
def test_it_ends_with_its_worker(tmp_path: Path, how: str) -> None:
    """A closed socket, a last message and SIGTERM are the same to it, in the middle of work."""
    with sidecar(tmp_path, users()) as talk:
        talk.run(0, "Shopper.wait")
        while not (tmp_path / "waiting").exists():
            talk.hear(wire.Figures)
        family = talk.family()
        if how == "close":
            talk.socket.close()
        elif how == "goodbye":
            talk.say(wire.Close())
        else:
            talk.process.terminate()

        assert talk.process.wait(20 * slack()) == 0
        assert wait_gone(family) == []
        assert list(talk.temporary.iterdir()) == []


def test_a_killed_sidecar_leaves_nothing(tmp_path: Path) -> None:
    """Browsers, driver and files go when it is killed in the middle of work."""
    with sidecar(tmp_path, users()) as talk:
        talk.run(0, "Shopper.wait")
        while not (tmp_path / "waiting").exists():
            talk.hear(wire.Figures)
        family = talk.family()
        talk.process.kill()
        talk.process.wait()

        assert wait_gone(family) == []


def test_a_locustfile_that_cannot_be_imported_is_told(tmp_path: Path) -> None:
    """The worker hears why, and the sidecar ends."""
    with sidecar(tmp_path, "1 / 0") as talk:
        broken = talk.hear(wire.Broken)

        assert broken.failure.kind == "LocustfileError"
        assert "ZeroDivisionError" in broken.failure.message
        assert talk.process.wait(20 * slack()) == 0


ROUGH = """
@task
async def silent(self, page, step):
    async with step("for ever"):
        await page.goto("/")


@task
async def stay(self, page, step):
    async with step("leave"):
        await page.goto("/meals")
        await page.evaluate("() => { onbeforeunload = (event) => event.preventDefault() }")
        await page.get_by_role("heading", level=1).click()  # else no browser asks
        await page.goto("/kitchen")
    async with step("stay until the end"):
        await page.evaluate("() => { onbeforeunload = (event) => event.preventDefault() }")
        await page.get_by_role("heading", level=1).click()


@task
async def hungry(self, page, step):
    async with step("eat"):
        await page.goto("/meals")
        await page.evaluate("const all = []; while (true) all.push(new Array(1e6).fill({}))")


@task
async def abort(self, page, step):
    async with step("abort"):
        await page.goto("chrome://crash")


Shopper = user(
    buy=buy, silent=silent, stay=stay, hungry=hungry, abort=abort, step_timeout=5.0, artifacts="off"
)
"""


def test_a_page_that_never_loads_fails_its_step(tmp_path: Path, larder: Larder) -> None:
    """It is cut off by the time that a step may take; the next iteration goes on."""
    with socket.create_server(("127.0.0.1", 0)) as deaf, sidecar(tmp_path, FLOW + ROUGH) as talk:
        talk.run(0, "Shopper.silent", host=f"http://127.0.0.1:{deaf.getsockname()[1]}")
        talk.run(1, host=larder.url)

        ended, step = talk.hear(wire.Ended, 0), talk.hear(wire.StepEnded, 0)
        assert step.failure is not None
        assert (ended.outcome, step.failure.kind) == ("failed", "TimeoutError")
        assert talk.hear(wire.Ended, 1).outcome == "passed"


def test_a_page_that_asks_before_it_goes_holds_nobody_up(tmp_path: Path, larder: Larder) -> None:
    """Neither a navigation nor the end of the iteration waits for an answer."""
    with sidecar(tmp_path, FLOW + ROUGH, slots=1) as talk:
        for number in range(2):
            talk.run(number, "Shopper.stay", host=larder.url)
            assert talk.hear(wire.Ended, number).outcome == "passed"


@pytest.mark.parametrize("how", ["hungry", "abort"])
def test_a_renderer_that_dies_fails_its_step_alone(
    tmp_path: Path, larder: Larder, how: str
) -> None:
    """Out of memory or aborted, it was the page's; what runs beside it on the browser passes."""
    small = ("--js-flags=--max-old-space-size=48",)
    with sidecar(tmp_path, FLOW + ROUGH, launch_args=small) as talk:
        talk.run(0, f"Shopper.{how}", host=larder.url)
        for number in range(1, 4):
            talk.run(number, host=larder.url)

        ended = talk.hear(wire.Ended, 0)
        assert (ended.outcome, ended.in_step) == ("failed", True)
        assert {talk.hear(wire.Ended, number).outcome for number in range(1, 4)} == {"passed"}


def test_a_soak_leaves_and_loses_nothing(tmp_path: Path, larder: Larder) -> None:
    """Every iteration ends once; memory and descriptors are at the end what they were early on.

    Seventy iterations, or as many as SENTINEL_SOAK says.
    """
    total = int(os.environ.get("SENTINEL_SOAK", "70"))
    # The last fifty of a short soak, the second half of a long one.
    settled = min(total - 50, total // 2)
    early: dict[str, int] = {}
    with sidecar(tmp_path, users(artifacts="off")) as talk:
        begun, ended = 0, 0
        while ended < total:
            while begun < min(total, ended + 4):
                talk.run(begun, host=larder.url)
                begun += 1
            assert talk.hear(wire.Ended).outcome == "passed"
            ended += 1
            if ended == settled:
                early = _usage(talk)
        late = _usage(talk)
        assert [m for m in talk.heard if isinstance(m, wire.Ended)] == []
        assert len([m for m in talk.heard if isinstance(m, wire.StepEnded)]) == 2 * total

    sys.stdout.write(f"{total} iterations: after {settled} {early}, at the end {late}\n")
    assert late["descriptors"] <= early["descriptors"] + 10
    assert late["processes"] <= early["processes"] + 3
    assert late["sidecar MiB"] <= early["sidecar MiB"] + 20


def _usage(talk: Talk) -> dict[str, int]:
    family = talk.family()
    own = psutil.Process(talk.process.pid)
    return {
        "descriptors": own.num_fds(),
        "processes": len(family),
        "sidecar MiB": own.memory_full_info().uss >> 20,
        "driver MiB": talk.driver().memory_full_info().uss >> 20,
    }
