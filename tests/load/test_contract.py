"""Locust's words mean for browser users what they mean in Locust."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.larder.process import Larder
from tests.load.locustkit import HEAD, booked, locust
from tests.runs import slack, wait_until

ROOT = Path(__file__).resolve().parents[2]

CONTRACT = """
import functools

from locust import LoadTestShape, SequentialTaskSet, TaskSet, events, tag
from locust import task as plain
from locust.exception import InterruptTaskSet, RescheduleTask, StopUser


def note(*words):
    with open(HERE / "notes.txt", "a") as file:
        file.write(" ".join(map(str, words)) + "\\n")


@events.init_command_line_parser.add_listener
def add(parser):
    parser.add_argument("--dish", default="soup")


@events.init.add_listener
def began(**_):
    note("init")


@events.test_start.add_listener
def started(**_):
    note("test_start")


class Quick(BrowserUser):
    abstract = True
    fixed_count = 1
    vitals = False
    artifacts = "off"
    wait_time = constant(0.2)


class Greeter(Quick):
    isolation = "user"

    def __init__(self, environment):
        super().__init__(environment)
        self.made = "made"

    async def on_start(self, page, step):
        await super().on_start()
        async with step("log in"):
            await page.goto("/meals")
        await page.evaluate("document.cookie = 'who=anna'")
        self.name = "anna"

    @task
    async def greet(self, page, step):
        await page.goto("/meals")
        note("greeter", self.name, self.made, await page.evaluate("document.cookie"))

    async def on_stop(self):
        note("greeter stops", self.name)


class Plain(Quick):
    def on_start(self):
        self.name = self.environment.parsed_options.dish

    @task
    async def greet(self, page, step):
        note("plain", self.name, self.host == self.environment.host)
        try:
            self.environment.runner.quit()
        except AttributeError as error:
            note("refused", error)
        try:
            self.wait()
        except AttributeError as error:
            note("refused", error)

    def on_stop(self):
        note("plain stops", self.name)


async def serve(self, page, step, dish="water"):
    note("serve", type(self).__name__, dish)


class Cook:
    async def __call__(self, user, page, step):
        note("cook", type(user).__name__)


class Weighed(Quick):
    tasks = {serve: 3, Cook(): 1}


class Listed(Quick):
    tasks = [functools.partial(serve, dish="cake"), functools.partial(serve, dish="tea"), Cook()]


class Quitter(Quick):
    @task
    async def leave(self, page, step):
        self.turns = getattr(self, "turns", 0) + 1
        note("quitter", self.turns)
        if self.turns == 2:
            raise StopUser()
        raise RescheduleTask()


class Visitor(Quick):
    @task
    class Browse(SequentialTaskSet):
        wait_time = constant(0.1)

        async def on_start(self):
            self.seen = []

        @task
        async def look(self, page, step):
            self.seen.append("look")
            self.user.looks = getattr(self.user, "looks", 0) + 1

        @plain
        async def think(self, page, step):
            self.seen.append("think")

        @task
        class Pay(TaskSet):
            @task
            async def pay(self, page, step):
                self.parent.seen.append("pay")
                self.interrupt(reschedule=False)

        @task
        async def leave(self, page, step):
            note("visitor", ",".join(self.seen), self.user.looks)
            self.interrupt()

        def on_stop(self):
            note("visitor leaves", ",".join(self.seen))


class Tagged(Quick):
    @tag("hidden")
    @task
    async def hidden(self, page, step):
        note("hidden")

    @task
    @tag("shown")
    async def shown(self, page, step):
        note("shown")
"""


def notes(directory: Path) -> list[str]:
    """Return what the tasks wrote down."""
    file = directory / "notes.txt"
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.browser
def test_locusts_words_mean_what_they_mean_there(tmp_path: Path, larder: Larder) -> None:
    """Starts and stops, sets of tasks, weights, partials, objects, tags, options, words of Locust.

    What a user keeps on ``self`` in ``on_start`` is there for its tasks; listeners run once.
    """
    wanted = {
        "greeter anna made who=anna", "plain cake True", "serve Weighed water", "cook Weighed",
        "serve Listed cake", "serve Listed tea", "cook Listed", "quitter 2",
        "visitor look,think,pay 2", "visitor leaves look,think,pay", "shown",
    }  # fmt: skip
    options = ("-u", "7", "-r", "20", "--host", larder.url, "--dish", "cake", "-E", "hidden")
    with locust(tmp_path, CONTRACT, "--headless", *options) as run:
        wait_until(lambda: wanted <= set(notes(tmp_path)), 90 * slack(), run.text())
        run.stop()
        report = run.report()

    seen = notes(tmp_path)
    assert seen.count("init") == seen.count("test_start") == 1
    assert "hidden" not in seen
    assert [note for note in seen if note.startswith("quitter")] == ["quitter 1", "quitter 2"]
    assert {"greeter stops anna", "plain stops cake"} <= set(seen)
    refused = [note for note in seen if note.startswith("refused")][:2]
    assert "self.environment.runner belongs to Locust's process" in refused[0]
    assert "await asyncio.sleep(seconds)" in refused[1]
    outcomes = booked(report)
    assert (outcomes["failed"], outcomes["infrastructure"]) == (0, 0), run.text()
    assert report["steps"]["Greeter.on_start/log in"]["count"] == 1
    assert report["iterations"].keys() >= {
        *("Listed.serve", "Listed.serve-2", "Listed.Cook"),
        *("Visitor.Browse.look", "Visitor.Pay.pay", "Quitter.leave"),
    }


REFUSED = {
    "plain function": (
        "class Shopper(BrowserUser):\n    tasks = [lambda user: None]",
        "is a plain function, and a task of a BrowserUser is written with async def",
    ),
    "plain method": (
        (
            "from locust import task as plain\n"
            "class Shopper(BrowserUser):\n    @plain\n    def buy(self): pass"
        ),
        "Shopper: buy is a plain function",
    ),
    "in a set": (
        (
            "from locust import TaskSet, task as plain\n"
            "class Browse(TaskSet):\n    @plain\n    def buy(self): pass\n"
            "class Shopper(BrowserUser):\n    tasks = [Browse]"
        ),
        "Browse: buy is a plain function",
    ),
    "arguments": (
        "class Shopper(BrowserUser):\n    @task\n    async def buy(self): pass",
        "write `async def buy(self, page, step)`",
    ),
    "markov": (
        (
            "from locust import MarkovTaskSet, transition\n"
            "class Shopper(BrowserUser):\n    @task\n    class Flow(MarkovTaskSet):\n"
            "        @transition('buy')\n        async def buy(self, page, step): pass"
        ),
        "a MarkovTaskSet cannot run in Shopper",
    ),
    "wait": (
        (
            "class Shopper(BrowserUser):\n    async def wait_time(self): return 1\n"
            "    @task\n    async def buy(self, page, step): pass"
        ),
        "wait_time is called by Locust, in its own process",
    ),
    "start": (
        (
            "class Shopper(BrowserUser):\n    def on_start(self, page, step): pass\n"
            "    @task\n    async def buy(self, page, step): pass"
        ),
        "write `async def on_start(self, page, step)`",
    ),
    "attribute": (
        (
            "class Shopper(BrowserUser):\n    isolation = 'total'\n"
            "    @task\n    async def buy(self, page, step): pass"
        ),
        "isolation: 'total' is none of iteration, user",
    ),
}


TRY = """
import sys
import types
from pathlib import Path

for file in sorted(Path().glob("refused-*.py")):
    sys.modules["shop"] = module = types.ModuleType("shop")
    module.__file__ = str(file)
    try:
        exec(compile(file.read_text(), str(file), "exec"), module.__dict__)
    except Exception as error:
        print(f"{file.stem}: {type(error).__name__}: {error}")
"""


def test_what_cannot_run_in_a_browser_is_refused(tmp_path: Path) -> None:
    """When the class is made: the file, the class, and what to write instead, in one line."""
    for number, (code, _) in enumerate(REFUSED.values()):
        (tmp_path / f"refused-{number}.py").write_text(HEAD + code)

    told = python(tmp_path, "-c", TRY)

    lines = told.stdout.splitlines()
    assert len(lines) == len(REFUSED), told.stdout + told.stderr
    for line, (name, (_, sentence)) in zip(lines, REFUSED.items(), strict=True):
        assert sentence in line, (name, line)


def test_locust_shows_a_refusal_without_a_traceback(tmp_path: Path) -> None:
    """A locustfile that cannot be used ends Locust with one line and status 1."""
    code, sentence = REFUSED["plain method"]
    (tmp_path / "shop.py").write_text(HEAD + code)

    told = python(tmp_path, "-m", "locust", "-f", "shop.py", "--headless", "-t", "1s")

    assert told.returncode == 1, told.stdout + told.stderr
    (line,) = told.stderr.strip().splitlines()
    assert line.startswith("sentinel: ")
    assert "shop.py: Shopper: " in line
    assert sentence.removeprefix("Shopper: ") in line


def python(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python to its end."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=directory, capture_output=True, text=True, timeout=60 * slack(), check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
