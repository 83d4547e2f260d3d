"""What the plugin costs tests that use no browser: CPU for each, with and without it.

A run with many trivial tests less a run with few is what the tests cost, without the start of
pytest. CPU of the whole tree, workers included: on a busy machine wall time says little. Both
kinds of run load the same other plugins, as few as there can be. Of all runs of a kind the least
counts: what else a machine does can only add to it.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

TARGET = 0.1
"""Milliseconds of CPU that a test may cost more."""
FEW = 200


def main() -> int:
    """Run the benchmark; the exit status is 1 when a test costs more than the target."""
    options = _options()
    good = True
    with tempfile.TemporaryDirectory(prefix="sentinel-plain-") as name:
        suite = Path(name)
        (suite / "pytest.ini").write_text("[pytest]\n")
        for count in (FEW, FEW + options.tests):
            body = "".join(f"def test_{number}(): pass\n" for number in range(count))
            (suite / f"test_{count}.py").write_text(body)
        print(f"{options.tests} trivial tests, {options.pairs} pairs, ms of CPU for each test")
        for workers in options.workers:
            good = _compare(suite, workers, options.tests, options.pairs) and good
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=7, help="plain and sentinel runs (7)")
    parser.add_argument("--tests", type=int, default=4000, help="trivial tests (4000)")
    parser.add_argument(
        "--workers", "-n", type=int, nargs="+", default=[0, 2], help="xdist workers (0 2)"
    )
    return parser.parse_args()


def _compare(suite: Path, workers: int, tests: int, pairs: int) -> bool:
    """Print one row; tell whether a test costs no more than the target."""
    spent: dict[tuple[bool, int], list[float]] = {}
    for number in range(pairs + 1):
        # Whoever runs second finds the machine warmer or busier: take turns.
        for sentinel in (False, True) if number % 2 else (True, False):
            for count in (FEW, FEW + tests):
                seconds = _cpu(suite, count, workers, sentinel=sentinel)
                if number:  # in the first, all find their files in the cache, and compiled
                    spent.setdefault((sentinel, count), []).append(seconds)
    plain, ours = (
        (min(spent[sentinel, FEW + tests]) - min(spent[sentinel, FEW])) / tests * 1000
        for sentinel in (False, True)
    )
    more = ours - plain
    print(
        f"-n {workers}  plain {plain:.3f}  with the plugin {ours:.3f}  more {more:.3f}"
        f"  (target <= {TARGET}: {'met' if more <= TARGET else 'missed'})",
        flush=True,
    )
    return more <= TARGET


def _cpu(suite: Path, count: int, workers: int, *, sentinel: bool) -> float:
    """Return the seconds of CPU of one run, with all its processes."""
    plugins = ["-p", "xdist", "-p", "pytest_sentinel.plugin"]
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins),
        *("-n", str(workers), f"test_{count}.py", *([] if sentinel else ["--no-sentinel"])),
    ]
    environ = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=suite, env=environ, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    sys.exit(main())
