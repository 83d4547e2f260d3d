"""An export never changes a run's result, and what was exported before a death is whole."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse_plain

from pytest_sentinel.telemetry.catalogue import BY_NAME
from pytest_sentinel.telemetry.export import Past
from pytest_sentinel.telemetry.measures import Measures, Table, hash_test
from pytest_sentinel.telemetry.record import (
    Attempt,
    BrowserEvent,
    End,
    Memory,
    PageFigures,
    Run,
    Visit,
)
from pytest_sentinel.telemetry.registry import RUN, RunFigures, as_openmetrics, registry_of
from tests.runs import Scratch, slack, wait_until
from tests.telemetry.servers import needed

SUITE = "def test_it():\n    pass\n"


def latest(scratch: Scratch) -> Path:
    """Return the directory of the last run."""
    return scratch.path / ".sentinel" / "runs" / "latest"


@contextmanager
def deaf() -> Iterator[str]:
    """A server that takes a connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        yield f"http://{host}:{port}"


def test_a_gateway_that_is_not_there_changes_nothing(pytester: pytest.Pytester) -> None:
    """The run ends well, one warning names it without its password, and the push is kept."""
    scratch = Scratch(pytester, SUITE)

    result = scratch.run("--sentinel-push=http://anna:secret@127.0.0.1:1", "-W", "error")

    result.assert_outcomes(passed=1, warnings=1)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*nothing is pushed to http://[[]hidden[]]@127.0.0.1:1; *push.prom*"]
    )
    end = scratch.record()[-1]
    assert isinstance(end, End)
    assert end.export_failures == {"push": 1}
    assert list(parse_plain((latest(scratch) / "push.prom").read_text()))
    assert "secret" not in (latest(scratch) / "run.jsonl").read_text()


def test_a_gateway_that_hangs_is_left_alone(pytester: pytest.Pytester) -> None:
    """After two seconds, and the run ends as it would have."""
    scratch = Scratch(pytester, "def test_it():\n    assert False\n")
    with deaf() as url:
        began = time.monotonic()
        result = scratch.run(f"--sentinel-push={url}")
        took = time.monotonic() - began

    assert result.ret == 1
    assert took < 12 * slack()
    result.stdout.fnmatch_lines(["*sentinel: *push*"])


def test_what_cannot_be_written_changes_nothing(pytester: pytest.Pytester) -> None:
    """A directory that is not there, a port that is taken, a device that is full."""
    scratch = Scratch(pytester, SUITE)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = scratch.run(
            f"--sentinel-metrics=127.0.0.1:{port}", "--sentinel-textfile=/dev/full/a.prom"
        )

    assert result.ret == 0
    result.stdout.fnmatch_lines(["*the metrics are not served at 127.0.0.1:*"])
    result.stdout.fnmatch_lines(["*/dev/full/a.prom is not written*"])
    end = scratch.record()[-1]
    assert isinstance(end, End)
    assert end.export_failures == {"live": 1, "textfile": 1}


FULL = """
def test_fills_the_disk():
    full = os.open("/dev/full", os.O_WRONLY)
    for name in os.listdir("/proc/self/fd"):
        target = pathlib.Path(f"/proc/self/fd/{name}")
        if target.is_symlink() and os.readlink(target).endswith("run.jsonl"):
            os.dup2(full, int(name))
    os.close(full)
    # What the metrics are written to before they take their place.
    os.symlink("/dev/full", ".sentinel/runs/latest/metrics.new")

def test_goes_on():
    pass
"""


def test_a_full_disk_changes_nothing(pytester: pytest.Pytester) -> None:
    """Record and metrics are lost, one warning names each, the run ends well."""
    scratch = Scratch(pytester, FULL)

    result = scratch.run()

    assert result.ret == 0
    result.assert_outcomes(passed=2, warnings=2)
    result.stdout.fnmatch_lines_random(
        [
            "*the run record * is not kept: *No space left*",
            "*metrics.om is not kept: *No space left*",
        ]
    )


SLOW = """
@pytest.mark.parametrize("number", range(500))
def test_slow(number):
    threading.Event().wait(0.2)
"""


@needed
def test_a_killed_controller_leaves_whole_files(pytester: pytest.Pytester) -> None:
    """After kill -9 the record can be read, and promtool takes the metrics in."""
    scratch = Scratch(pytester, SLOW)
    with scratch.start("-n", "2") as started:
        wait_until(
            lambda: (latest(scratch) / "metrics.om").exists() and len(scratch.attempts()) > 3,
            60 * slack(),
            "metrics",
        )
        started.process.send_signal(signal.SIGKILL)
        started.process.wait()
        started.assert_all_gone()

    assert len(scratch.attempts()) > 3
    text = (latest(scratch) / "metrics.om").read_text()
    assert text.endswith("# EOF\n")
    assert "\n# TYPE sentinel_tests counter\n" in text
    blocks = scratch.path / "blocks"
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics"]
    subprocess.run(
        [*command, str(latest(scratch) / "metrics.om"), str(blocks)],
        check=True,
        capture_output=True,
    )
    assert any(blocks.iterdir())


def big_run(measures: Measures, tests: int) -> None:
    """Measure a run of many tests on four workers, with all that a label can say."""
    measures.add(Run("a", 0.0, suite="shop", branch_class="main"))
    kinds = ("document", "script", "style", "image", "fetch", "other")
    results = ("ok", "http_4xx", "http_5xx", "failed")
    requests = {f"{kind} {result}": 1 for kind in kinds for result in results}
    for number in range(tests):
        worker = f"gw{number % 4}"
        if number % 50 == 0:
            reason = ("start", "tests", "age", "memory", "fresh", "crash")[number // 50 % 6]
            measures.add(BrowserEvent("replaced", f"{worker}/b", 1, 1.0, worker, reason, 0.3))
        measures.add(
            Attempt(
                f"tests/test_{number}.py::test_{number}",
                ("passed", "failed", "skipped", "error")[number % 4],
                worker=worker,
                phases={"setup": 0.1, "call": number % 70, "teardown": 0.1},
                finished=1.0,
                engine=("chromium", "firefox", "webkit")[number % 3],
                failure="product",
                memory={"worker": Memory(peak=9), "browser-1": Memory(1, number * 4096)},
                page=PageFigures(
                    {"error": 1}, 1, requests, (), (Visit("a", 0.1, 0.2, 0.3, 0.4, 0.5),), 1, 1
                ),
            )
        )
    measures.add(End(1.0, 0))


def test_a_run_of_5000_tests_is_no_burden() -> None:
    """At most 2,000 series in 200 KB; how many tests there are makes no difference."""
    small, big = Measures(1), Measures(1)
    big_run(small, 840)
    big_run(big, 5000)

    texts = [
        generate_latest(registry_of(RunFigures(lambda each=each: each.table, (*RUN, "last"))))
        for each in (small, big)
    ]

    rows = [row for row in texts[1].splitlines() if not row.startswith(b"#")]
    assert len(rows) <= 2000
    assert len(texts[1]) <= 200_000
    assert len(rows) == len([row for row in texts[0].splitlines() if not row.startswith(b"#")])


def test_moments_are_thinned_out() -> None:
    """A long run keeps at most sixty, from its beginning to its end."""
    past = Past()
    for at in range(1000):
        past.add(float(at), Table())

    assert len(past.moments) <= 60
    assert past.moments[-1][0] == 999.0
    assert past.moments[0][0] < 100
    assert sorted(past.moments, key=lambda moment: moment[0]) == past.moments


def test_the_file_has_all_moments_and_examples() -> None:
    """Each series with its moments in order; a bucket names a test that fell into it."""
    measures = Measures()
    measures.add(Run("a", 0.0, suite="shop"))
    measures.observe("test_duration_seconds", 0.15, "shop", "call", test="test_a", at=5.0)
    first = measures.table.copy()
    measures.observe("test_duration_seconds", 0.15, "shop", "call")

    text = as_openmetrics([(10.0, first), (20.5, measures.table)]).decode()

    assert text.endswith("# EOF\n")
    # Prometheus reads it; the client's own parser knows no series with several moments.
    bucket = 'sentinel_test_duration_seconds_bucket{le="0.2",phase="call",suite="shop"}'
    assert [row for row in text.splitlines() if row.startswith(bucket)] == [
        f'{bucket} 1.0 10.000000000 # {{test="{hash_test("test_a")}"}} 0.15 5.0',
        f'{bucket} 2.0 20.500000000 # {{test="{hash_test("test_a")}"}} 0.15 5.0',
    ]
    assert BY_NAME["sentinel_test_duration_seconds"].buckets[2] == 0.2
    assert as_openmetrics([]) == b"# EOF\n"


def test_the_live_port_answers_until_it_was_asked_once_more(pytester: pytest.Pytester) -> None:
    """A run waits for one more scrape after its end, and no longer."""
    scratch = Scratch(pytester, SUITE)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    seen: list[str] = []
    over = threading.Event()

    def scrape() -> None:
        from tests.telemetry.servers import fetch

        # To the end of the run: a scrape that came before it may have seen the test's result too.
        while not over.is_set():
            with suppress(OSError):
                seen.append(fetch(f"http://127.0.0.1:{port}/metrics", 10.0))
            over.wait(0.05)

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        result = scratch.run(f"--sentinel-metrics=127.0.0.1:{port}", "--sentinel-metrics-linger=1h")
    finally:
        over.set()
        thread.join()

    assert result.ret == 0
    assert 'outcome="passed"' in seen[-1]
    result.stdout.fnmatch_lines([f"sentinel: metrics at http://127.0.0.1:{port}/metrics"])
