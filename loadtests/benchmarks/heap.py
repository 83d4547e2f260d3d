"""Analyse one large heap snapshot with `sentinel heap` and with memlab, and print both bills.

    python loadtests/benchmarks/heap.py [--orders 60000] [--repeat 3] [--file FILE] [--cache DIR]

A real headless Chromium builds a page of objects, maps, closures, strings and DOM; its snapshot is
kept in the cache directory, as is memlab (npm). Every run is a process of its own, the tools take
turns, and seconds and peak memory are the kernel's (wait4), the process's start included.

Three rows are memlab's. "load" only reads the file through its API, which parses, indexes, finds
dominators and retained sizes, and prints nothing: the least that memlab can do. "shape" is
`memlab analyze shape`, the nearest to our overview: classes by retained size. "detached-DOM" is
`memlab analyze detached-DOM`. Our one run answers all of it. The verdict is against the cheapest
row of memlab's. The page holds no long linked list: on a page with one of 60,000 nodes "shape" did
not end within ten minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import sync_playwright

from pytest_sentinel import browsers
from pytest_sentinel.units import MIB

MEMLAB = "2.0.5"
FASTER, SMALLER = 3.0, 2.0
FIELDS = ("seconds", "cpu", "peak")

PAGE = """orders => {
  class Order {
    constructor(number) {
      this.number = number;
      this.title = "order " + number;
      this.lines = [0, 1, 2].map(n => ({sku: `sku-${number}-${n}`, count: n, price: n * 1.5}));
      this.total = () => this.lines.length + number;
      this.status = ["open", "paid", "sent"][number % 3] + "";
    }
  }
  const app = window.app = {
    orders: [], byName: new Map(), tags: new Set(), removed: [], notes: new WeakMap(), buffers: [],
  };
  for (let i = 0; i < orders; i++) {
    const order = new Order(i);
    app.orders.push(order);
    app.byName.set("name" + i, order);
    app.tags.add(`tag ${i % 97} of ${i}`);
    if (i % 10 === 0) {
      const row = document.createElement("div");
      row.className = "row" + i;
      row.innerHTML = `<span>${i}</span>`;
      row.addEventListener("click", () => order.total());
      document.body.append(row);
    }
    if (i % 20 === 0) {
      const row = document.createElement("section");
      row.innerHTML = "<b>removed</b><i>row</i>";
      app.removed.push(row);
      app.notes.set(row, {order});
    }
    if (i % 100 === 0) app.buffers.push(new Uint8Array(1000));
  }
}"""

LOAD = """
const {getFullHeapFromFile} = require('@memlab/heap-analysis');
getFullHeapFromFile(process.argv[2]).then(heap => {
  console.log(JSON.stringify({nodes: heap.nodes.length, edges: heap.edges.length}));
});
"""


@dataclass
class Bill:
    """What one run cost, children included."""

    seconds: float
    cpu: float
    peak: float
    output: str


def take_snapshot(file: Path, orders: int) -> None:
    """Write the snapshot of a page with that many orders to ``file``."""
    environ = dict(os.environ)
    choice = browsers.prepare(environ)
    part = file.with_suffix(".part")
    with sync_playwright() as playwright, part.open("w") as out:
        browser = playwright.chromium.launch(executable_path=choice.executable)
        page = browser.new_page()
        page.set_default_timeout(300_000)
        page.evaluate(PAGE, orders)
        session = page.context.new_cdp_session(page)
        session.on("HeapProfiler.addHeapSnapshotChunk", lambda event: out.write(event["chunk"]))
        session.send("HeapProfiler.takeHeapSnapshot", {"reportProgress": False})
        browser.close()
    part.rename(file)


def install_memlab(folder: Path) -> Path:
    """Install memlab into ``folder`` unless it is there, and return its modules."""
    modules = folder / "node_modules"
    if not (modules / "@memlab" / "heap-analysis").exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        subprocess.run(
            ["npm", "install", f"memlab@{MEMLAB}", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=folder,
            env=os.environ | {"PUPPETEER_SKIP_DOWNLOAD": "1"},
            check=True,
        )
    (folder / "load.js").write_text(LOAD)
    return modules


def run(command: list[str], cwd: Path) -> Bill:
    """Run ``command`` to its end and return its bill."""
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    return Bill(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)


def print_table(bills: dict[str, list[Bill]], size: float) -> tuple[float, float]:
    """Print the medians, and return how much faster and smaller we are than memlab's best row."""
    columns = ("seconds", "CPU s", "peak MiB", "x file", "slower", "bigger")
    print(" " * 20 + "".join(f"{column:>10}" for column in columns))
    ours = next(iter(bills))
    middle = {
        name: [statistics.median(getattr(bill, field) for bill in rows) for field in FIELDS]
        for name, rows in bills.items()
    }
    for name, (seconds, cpu, peak) in middle.items():
        slower, bigger = seconds / middle[ours][0], peak / middle[ours][2]
        figures = (seconds, cpu, peak, peak / size, slower, bigger)
        print(f"{name:20}" + "".join(f"{figure:10.2f}" for figure in figures))
    others = [figures for name, figures in middle.items() if name != ours]
    return (
        min(figures[0] for figures in others) / middle[ours][0],
        min(figures[2] for figures in others) / middle[ours][2],
    )


def main() -> int:
    """Prepare file and tools, let them take turns, and print who needed what."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--orders", type=int, default=60_000, help="how large the page is")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--file", type=Path, help="a snapshot to use instead of a new one")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
        / "pytest-sentinel-benchmarks",
    )
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    file = options.file or options.cache / f"orders-{options.orders}.heapsnapshot"
    if not file.exists():
        take_snapshot(file, options.orders)
    size = file.stat().st_size / MIB
    modules = install_memlab(options.cache / "memlab")
    node = [shutil.which("node") or "node", "--expose-gc", "--max-old-space-size=8192"]
    memlab = [*node, str(modules / "@memlab" / "cli" / "bin" / "memlab.js"), "analyze"]
    snapshot = str(file.resolve())
    commands = {
        "sentinel heap": [sys.executable, "-m", "pytest_sentinel.cli", "heap", snapshot, "--json"],
        "memlab load": [*node, str(modules.parent / "load.js"), snapshot],
        "memlab shape": [*memlab, "shape", "--snapshot", snapshot],
        "memlab detached-DOM": [*memlab, "detached-DOM", "--snapshot", snapshot],
    }
    bills: dict[str, list[Bill]] = {name: [] for name in commands}
    for _ in range(options.repeat):
        for name, command in commands.items():
            bills[name].append(run(command, modules.parent))
    overview = json.loads(bills["sentinel heap"][0].output)["overview"]
    loaded = json.loads(bills["memlab load"][0].output.splitlines()[-1])
    print(f"{file.name}: {size:.0f} MiB, {loaded['nodes']:,} nodes, {loaded['edges']:,} edges")
    print(f"median of {options.repeat}, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    faster, smaller = print_table(bills, size)
    same = (overview["nodes"], overview["edges"]) == (loaded["nodes"], loaded["edges"])
    print(f"both count the same nodes and edges: {same}")
    good = same and faster >= FASTER and smaller >= SMALLER
    print(f"{'pass' if good else 'FAIL'}: {faster:.1f}x faster, {smaller:.1f}x smaller")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
