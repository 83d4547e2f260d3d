"""Every way in which a task may end is told once, and ends nothing but its own iteration."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_sentinel.load import wire
from tests.larder.process import Larder
from tests.load.sidecarkit import sidecar

pytestmark = pytest.mark.browser

# Name of the task, its body, and its end: outcome, class of the failure, Locust's word.
ENDS: dict[str, tuple[str, str, str, str]] = {
    "fail": ("pytest.fail('the price is wrong')", "failed", "Failed", ""),
    "skip": ("pytest.skip('closed today')", "skipped", "Skipped", ""),
    "expect": ("pytest.xfail('known')", "skipped", "XFailed", ""),
    "skip_case": ("raise unittest.SkipTest('closed')", "skipped", "SkipTest", ""),
    "leave": ("sys.exit(3)", "failed", "SystemExit", ""),
    "interrupt": ("raise KeyboardInterrupt", "failed", "KeyboardInterrupt", ""),
    "generator": ("raise GeneratorExit", "failed", "GeneratorExit", ""),
    "cancel": ("raise asyncio.CancelledError", "failed", "CancelledError", ""),
    "odd": ("raise Odd('odd')", "failed", "Odd", ""),
    "stop": ("raise StopIteration", "failed", "StopIteration", ""),
    "mute": ("raise Mute()", "failed", "Mute", ""),
    "huge": ("raise ValueError('x' * 50_000_000)", "failed", "ValueError", ""),
    "broken": ("raise ValueError('\\ud800')", "failed", "ValueError", ""),
    "group": (
        "raise BaseExceptionGroup('all', [SystemExit(1), Odd()])", "failed", "BaseExceptionGroup",
        "",
    ),
    "stop_user": ("raise StopUser", "passed", "", "StopUser"),
    "stop_grouped": ("raise ExceptionGroup('one', [StopUser()])", "passed", "", "StopUser"),
    "again": ("raise RescheduleTask", "passed", "", "RescheduleTask"),
    "at_once": ("raise RescheduleTaskImmediately", "passed", "", "RescheduleTaskImmediately"),
    "leave_set": ("raise InterruptTaskSet(False)", "passed", "", "InterruptTaskSet"),
    "close_page": ("await page.close()", "passed", "", ""),
    "close_context": ("await page.context.close()", "passed", "", ""),
    "close_browser": ("await page.context.browser.close()", "failed", "LocustfileError", ""),
    "child": ("await asyncio.create_task(go())", "failed", "SystemExit", ""),
    "forget": ("asyncio.create_task(go()); await asyncio.sleep(0.1)", "passed", "", ""),
    "start": ("asyncio.create_task(for_ever()); await asyncio.sleep(0)", "passed", "", ""),
    "finally_": ("try: raise ValueError\n        finally: raise Odd", "failed", "Odd", ""),
}  # fmt: skip

HEAD = """
import sys
import time
import unittest

import pytest
from locust.exception import (
    InterruptTaskSet, RescheduleTask, RescheduleTaskImmediately, StopUser,
)


class Odd(BaseException):
    pass


class Mute(Exception):
    def __str__(self):
        raise Odd("no words")


async def go():
    sys.exit(4)


async def for_ever():
    try:
        await asyncio.Event().wait()
    finally:
        (HERE / "cancelled").touch()


@task
async def buy(self, page, step):
    async with step("meals"):
        await page.goto("/meals")
"""


def code(place: str) -> str:
    """Return a locustfile with a task for each end, inside of a step or outside."""
    block = 'async with step("here"):' if place == "inside" else "if True:"
    tasks = "".join(
        f"\n\n@task\nasync def {name}(self, page, step):\n    {block}\n        {body}\n"
        for name, (body, *_) in ENDS.items()
    )
    names = ", ".join(f"{name}={name}" for name in ("buy", *ENDS))
    return f"{HEAD}{tasks}\n\nShopper = user(artifacts='off', {names})\n"


@pytest.mark.parametrize("place", ["inside", "outside"])
def test_every_end_is_told_once(tmp_path: Path, larder: Larder, place: str) -> None:
    """Whatever a task raises or closes, its worker hears one end; neighbours pass all the while."""
    with sidecar(tmp_path, code(place), slots=4) as talk:
        neighbours = range(100, 100 + len(ENDS))
        for number, name in enumerate(ENDS):
            talk.run(number, f"Shopper.{name}")
            talk.run(neighbours[number], host=larder.url)
        ends = {number: talk.hear(wire.Ended, number, 60) for number in range(len(ENDS))}
        beside = {talk.hear(wire.Ended, number).outcome for number in neighbours}
        again = [message for message in talk.heard if isinstance(message, wire.Ended)]
        steps = {
            message.iteration: message
            for message in talk.heard
            if isinstance(message, wire.StepEnded) and message.step == "here"
        }

    found = {
        name: (end.outcome, end.failure.kind if end.failure else "", end.control)
        for name, end in zip(ENDS, ends.values(), strict=True)
    }
    assert found == {name: tuple(wanted) for name, (_, *wanted) in ENDS.items()}
    assert (beside, again) == ({"passed"}, [])
    assert all(len(end.failure.message) <= 300 for end in ends.values() if end.failure)
    assert (tmp_path / "cancelled").exists()
    for number, end in ends.items():
        assert end.in_step == (place == "inside" and end.outcome == "failed")
        if place == "inside" and end.outcome != "skipped":
            assert (steps[number].failure is not None) == (end.outcome == "failed")


STUBBORN = """
@task
async def stubborn(self, page, step):
    async with step("for ever"):
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                (HERE / "asked").touch()


@task
async def block(self, page, step):
    async with step("block"):
        (HERE / "blocking").touch()
        time.sleep(300)


@task
async def name(self, page, step):
    async with step(5):
        await page.goto("/meals")
    async with step("\\ud800" * 9999):
        pass


@task
async def cheat(self, page, step):
    await page.goto("/meals")
    await page.evaluate('''() => {
        __sentinelVitals('[]');
        __sentinelVitals('nothing');
        __sentinelVitals('{"load": {}, "cls": 1}');
        __sentinelVitals('{"load": "1", "cls": "x", "lcp": {}, "ttfb": 1e400, "inp": -1}');
    }''')


@task
async def listen(self, page, step):
    page.on("console", lambda _: 1 / 0)
    await page.evaluate("console.log(1)")
    await asyncio.sleep(0.2)


Shopper = user(
    buy=buy, stubborn=stubborn, block=block, name=name, cheat=cheat, listen=listen,
    artifacts="off", iteration_timeout=TIMEOUT,
)
"""


def test_a_task_that_does_not_let_itself_be_cancelled_is_left_behind(
    tmp_path: Path, larder: Larder
) -> None:
    """Its iteration failed when its time was over, and its slot is free for the next."""
    text = HEAD + STUBBORN.replace("TIMEOUT", "4")
    with sidecar(tmp_path, text, slots=1) as talk:
        talk.run(0, "Shopper.stubborn")
        ended = talk.hear(wire.Ended, 0, 60)
        talk.run(1, host=larder.url)

        assert ended.failure is not None
        assert (ended.outcome, ended.failure.kind) == ("failed", "TimeoutError")
        assert (tmp_path / "asked").exists()
        assert talk.hear(wire.Ended, 1).outcome == "passed"


def test_a_task_that_blocks_the_event_loop_is_interrupted(tmp_path: Path, larder: Larder) -> None:
    """It fails with the line that blocked; who shares the sidecar with it waits, and passes."""
    text = HEAD + STUBBORN.replace("TIMEOUT", "120")
    with sidecar(tmp_path, text, slots=2) as talk:
        talk.run(0, "Shopper.block")
        while not (tmp_path / "blocking").exists():
            talk.hear(wire.Figures)
        talk.run(1, host=larder.url)
        ended, step = talk.hear(wire.Ended, 0, 60), talk.hear(wire.StepEnded, 0)

        assert ended.failure is not None
        assert (ended.outcome, ended.in_step, step.step) == ("failed", True, "block")
        assert ended.failure.kind == "ScenarioBlocked"
        assert "locustfile.py:" in ended.failure.message
        assert "in block" in ended.failure.message
        assert talk.hear(wire.Ended, 1).outcome == "passed"


def test_what_a_scenario_or_its_page_says_cannot_break_the_wire(
    tmp_path: Path, larder: Larder
) -> None:
    """Names of steps that are no text, vitals that a page made up, a listener that raises."""
    text = HEAD + STUBBORN.replace("TIMEOUT", "60")
    with sidecar(tmp_path, text, slots=1) as talk:
        for number, name in enumerate(["name", "cheat", "listen", "buy"]):
            talk.run(number, f"Shopper.{name}", host=larder.url)

        assert [talk.hear(wire.Ended, number).outcome for number in range(4)] == ["passed"] * 4
        steps = [talk.hear(wire.StepEnded, 0).step for _ in range(2)]
        assert steps[0] == "5"
        assert len(steps[1]) < 3000


ROUGH = """
@task
async def stop_loop(self, page, step):
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.1)


@task
async def callback(self, page, step):
    asyncio.get_running_loop().call_soon(sys.exit, 4)
    await asyncio.sleep(0.5)


@task
async def listener(self, page, step):
    page.on("console", lambda _: sys.exit(5))
    await page.evaluate("console.log(1)")
    await asyncio.sleep(1)


@task
async def thread(self, page, step):
    asyncio.get_running_loop().run_in_executor(None, time.sleep, 300)


Shopper = user(
    buy=buy, stop_loop=stop_loop, callback=callback, listener=listener, thread=thread,
    artifacts="off",
)
"""


def test_what_a_scenario_does_to_the_event_loop_is_survived(tmp_path: Path, larder: Larder) -> None:
    """It stops the loop, exits in callbacks, leaves a thread: the next iteration passes.

    Where it breaks Playwright's own reader, the driver is replaced.
    """
    names = ("stop_loop", "callback", "listener", "thread")
    outcomes = []
    with sidecar(tmp_path, HEAD + ROUGH, slots=1) as talk:
        for number, name in enumerate(names):
            talk.run(2 * number, f"Shopper.{name}")
            outcomes.append(talk.hear(wire.Ended, 2 * number, 60).outcome)
            talk.run(2 * number + 1, host=larder.url)
            assert talk.hear(wire.Ended, 2 * number + 1, 60).outcome == "passed", name

    assert outcomes == ["passed", "passed", "infrastructure", "passed"]
