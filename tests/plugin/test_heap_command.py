"""`sentinel heap` as a person runs it, on files small enough to know every number."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pytest_sentinel import heapcommand
from pytest_sentinel.cli import main
from tests.unit.leaks.heapbuilder import HeapBuilder

ROOT = Path(__file__).parents[2]


def shop(items: int = 3) -> HeapBuilder:
    """A page with a cache of items, a detached row and a closure that V8 knows the place of."""
    builder = HeapBuilder()
    window = builder.window()
    app = builder.held(window, "property", "app", "object", "App", 16)
    cache = builder.held(app, "property", "cache", "object", "Array", 16)
    row = builder.held(window, "property", "removed", "native", '<tr class="x">', 100, node_id=2001)
    builder.nodes[row]["detachedness"] = 2
    builder.held(window, "weak", "1", "object", "Memo", 8, node_id=4001)
    load = builder.held(app, "property", "load", "closure", "load", 28, node_id=5001)
    builder.locations.append((load, 7, load, 41, 4))
    context = builder.held(load, "internal", "context", "object", "system / Context", 12)
    for number in range(items):
        node_id = 1001 + 2 * number
        item = builder.held(cache, "element", number, "object", "Item", 2048, node_id=node_id)
        builder.held(item, "property", "name", "string", "blue\n[shirt]", 20, node_id=node_id + 500)
        builder.held(item, "property", "text", "string", "n" * 90, 900, node_id=node_id + 600)
    builder.edge(context, "context", "last", item)
    return builder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A snapshot of that page."""
    path = tmp_path / "page.heapsnapshot"
    path.write_bytes(shop().file())
    return path


def run(*words: object) -> Result:
    # As users call it: click keeps, for good, the help options of whoever calls a command first.
    return CliRunner().invoke(main, ["heap", *map(str, words)])


def told(*words: object) -> dict[str, Any]:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def rows(output: str, title: str) -> list[list[str]]:
    """Return the rows below a title, split into words."""
    _, _, rest = output.partition(f"\n{title}")
    table = rest.partition("\n\n")[0].splitlines()[2:]
    return [line.split() for line in table]


def test_the_overview_shows_what_fills_the_heap(file: Path) -> None:
    """Facts of the file, totals by type, constructors by size and by count."""
    output = run(file).output
    assert output.startswith(f"{file}: ")
    assert "19 nodes, 19 edges, 8.87 KiB on the heap; 1 node (8 B) that nothing" in output
    assert "4 KiB of the browser's own outside the heap" in output
    assert rows(output, "By type")[0] == ["object", "8", "6.05", "KiB"]
    assert rows(output, "Constructors by size")[0] == ["Item", "3", "6", "KiB", "8.7", "KiB"]
    assert rows(output, "Constructors by count")[0] == ["(string)", "6", "2.7", "KiB"]


def test_the_overview_shows_detached_dom_and_strings(file: Path) -> None:
    """Who holds detached nodes, the biggest strings, and those that exist more than once."""
    output = run(file).output
    assert "Detached DOM: 1 node, 100 B, 100 B retained" in output
    assert rows(output, "Detached DOM is held by") == [["window.removed", "1", "<tr>", "@2001"]]
    assert rows(output, "Biggest strings")[0][:3] == ["900", "B", "@1601"]
    assert f'"{"n" * 60}..."' in output
    assert rows(output, "Strings that exist more than once")[1] == [
        "3",
        "60",
        "B",
        r'"blue\n[shirt]"',
    ]


def test_lists_are_as_long_as_asked_for(file: Path) -> None:
    """--top bounds every list."""
    output = run(file, "--top", 1).output
    assert len(rows(output, "Constructors by size")) == 1
    assert len(rows(output, "Biggest strings")) == 1
    assert run(file, "--top", 0).exit_code == 2


def test_an_empty_heap_has_empty_lists(tmp_path: Path) -> None:
    """Nothing detached, no strings: said in words, not as an empty table."""
    path = tmp_path / "empty.heapsnapshot"
    document = HeapBuilder().document()
    document["snapshot"]["extra_native_bytes"] = 0
    path.write_text(json.dumps(document))
    output = run(path).output
    assert "Detached DOM: none" in output
    assert "Biggest strings: none" in output
    assert "outside the heap" not in output


def test_json_holds_the_same(file: Path) -> None:
    """One document on stdout, sizes in bytes."""
    document = told(file)
    assert document["file"] == str(file)
    assert document["bytes"] == file.stat().st_size
    assert document["seconds"] >= 0
    overview = document["overview"]
    assert overview["by_size"][0] == {
        "name": "Item",
        "count": 3,
        "size": 6144,
        "retained": 6144 + 3 * 920,
    }
    assert overview["detached"]["holders"] == [
        {"path": "window.removed", "count": 1, "example": "<tr>", "example_id": 2001}
    ]
    assert overview["duplicates"][0]["count"] == 3


def test_an_object_is_shown_with_its_retainers(file: Path) -> None:
    """What it retains, the path hop by hop, and every independent holder."""
    output = run(file, "--retainers", "@1005").output
    assert "@1005 Item (object): 2 KiB, retains 2.9 KiB" in output
    assert "path: window.app.cache[2]" in output
    assert "Independent retainers: 2" in output
    assert "  window.app.load (closure) load -> last" in output
    assert "Cutting only one of them frees nothing." in output
    hops = rows(output, "Hop by hop")
    assert hops[0] == ["Window", "[JSGlobalObject]", "@7"]
    assert hops[-1] == ["element", "2", "Item", "@1005"]


def test_one_retainer_is_not_two(file: Path) -> None:
    """Without a second holder there is no warning, and the id may stand without an @."""
    output = run(file, "--retainers", "1001").output
    assert "Independent retainers: 1" in output
    assert "Cutting" not in output


def test_a_closure_tells_where_it_was_written(file: Path) -> None:
    """Script, line and column, for the object and for hops of a path."""
    output = run(file, "--retainers", "5001").output
    assert 'Function "load" (closure)' in output
    assert "written at script 7:42:5" in output
    assert rows(output, "Hop by hop")[-1][-2:] == ["script", "7:42:5"]


def test_a_detached_node_is_called_detached(file: Path) -> None:
    """DOM that is in no document."""
    output = run(file, "--retainers", "2001").output
    assert r'<tr> "<tr class=\"x\">" (native, detached)' in output


def test_a_root_is_called_a_root(file: Path) -> None:
    """Nothing holds the root, and it needs nobody."""
    assert "path: (a root)" in run(file, "--retainers", "1").output


def test_what_nothing_holds_is_said_to_be_garbage(file: Path) -> None:
    """Only a weak reference leads to the memo."""
    output = run(file, "--retainers", "4001").output
    assert "Nothing but weak references lead to it" in output
    assert "Hop by hop" not in output


def test_an_object_is_told_in_json(file: Path) -> None:
    """Paths as one text and as hops."""
    node = told(file, "--retainers", "1005")["node"]
    assert (node["node_id"], node["retained"], node["retainer_count"]) == (1005, 2968, 2)
    assert node["path"]["text"] == "window.app.cache[2]"
    assert [hop["edge"] for hop in node["path"]["hops"]] == ["", "app", "cache", "2"]
    closure = told(file, "--retainers", "5001")["node"]
    assert closure["location"] == {"script_id": 7, "url": "", "line": 42, "column": 5}


def test_a_linked_list_is_shown_as_one_hop(tmp_path: Path) -> None:
    """A thousand steps do not make a thousand lines."""
    builder = HeapBuilder()
    node = builder.held(builder.window(), "property", "head", "object", "Link")
    for number in range(1000):
        node = builder.held(node, "property", "next", "object", "Link", node_id=100_001 + number)
    path = tmp_path / "list.heapsnapshot"
    path.write_bytes(builder.file())
    output = run(path, "--retainers", 101_000).output
    assert "path: window.head(.next x1,000)" in output
    assert rows(output, "Hop by hop")[-1][:3] == ["property", "next", "x1,000"]


def test_a_difference_names_what_grew_and_where(file: Path, tmp_path: Path) -> None:
    """Classes that grew since an earlier snapshot, with births and the holder of what is new."""
    later = tmp_path / "later.heapsnapshot"
    later.write_bytes(shop(5).file())
    output = run(later, "--diff", file).output
    assert "25 nodes (+6), 14.7 KiB on the heap (+5.8 KiB) since the earlier snapshot" in output
    grown = rows(output, "What grew")
    assert grown[0] == ["Item", "+2", "+4", "KiB", "3", "2", "window.app.cache[*]"]
    document = told(later, "--diff", file)["diff"]
    assert document["same_ids"] is True
    assert document["classes"][0]["born"] == 2
    shrunk = run(file, "--diff", later).output
    assert "(-5.8 KiB)" in shrunk
    assert "What grew: none" in shrunk


def test_snapshots_of_different_sessions_are_compared_by_number_only(tmp_path: Path) -> None:
    """Survivors are not guessed from ids that were given anew."""
    paths = []
    for number, items in enumerate((3, 5)):
        builder = shop(items)
        for place, node in enumerate(reversed(builder.nodes) if number else builder.nodes):
            node["id"] = 2 * place + 1
        paths.append(tmp_path / f"{number}.heapsnapshot")
        paths[-1].write_bytes(builder.file())
    output = run(paths[1], "--diff", paths[0]).output
    assert "The snapshots come from different sessions" in output
    assert rows(output, "What grew")[0] == ["Item", "+2", "+4", "KiB", "-", "-"]


def test_object_and_difference_can_be_asked_for_at_once(file: Path) -> None:
    """Each gets its section, the overview is left out."""
    document = told(file, "--diff", file, "--retainers", "1001")
    assert set(document) == {"file", "bytes", "seconds", "node", "diff"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"not a snapshot", "it does not begin like a heap snapshot"),
        (b"", "it does not begin like a heap snapshot"),
        (shop().file()[:900], "it is cut short"),
        (gzip.compress(shop().file())[:-9], "it is cut short or damaged"),
    ],
)
def test_another_file_is_refused_in_one_sentence(
    tmp_path: Path, text: bytes, complaint: str
) -> None:
    """Status 1 and a message that names the file; no traceback."""
    path = tmp_path / "other.bin"
    path.write_bytes(text)
    result = run(path)
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {path}: {complaint}")
    assert result.output.count("\n") == 1


def test_words_that_make_no_sense_are_refused(file: Path, tmp_path: Path) -> None:
    """Ids that are none or not there, files that do not exist: status 2."""
    for words, complaint in (
        (("--retainers", "first"), "'first' is no id of an object; write it like 12345 or @12345"),
        (("--retainers", "999"), f"no object @999 in {file}"),
        (("--diff", tmp_path / "none"), "does not exist"),
    ):
        result = run(file, *words)
        assert result.exit_code == 2
        assert complaint in result.output


def test_a_compressed_file_is_read(file: Path, tmp_path: Path) -> None:
    """A .heapsnapshot.gz as it is kept in an archive."""
    packed = tmp_path / "page.heapsnapshot.gz"
    packed.write_bytes(gzip.compress(file.read_bytes()))
    assert told(packed)["overview"] == told(file)["overview"]


def test_a_missing_numpy_names_its_extra(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numpy is an extra; the message says which."""

    def without(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'numpy'", name="numpy")

    monkeypatch.setattr(heapcommand, "_examine", without)
    result = run(file)
    assert result.exit_code == 1
    assert "pip install 'pytest-sentinel[heap]'" in result.output

    def broken(*_: object) -> None:
        raise ModuleNotFoundError("No module named 'other'", name="other")

    monkeypatch.setattr(heapcommand, "_examine", broken)
    assert isinstance(run(file).exception, ModuleNotFoundError)


def test_a_big_file_is_read_with_a_bar(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar is on stderr, where a terminal is; stdout holds the answer alone."""
    monkeypatch.setattr(heapcommand, "_BAR_FROM", 1)
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = run(file, "--json")
    assert json.loads(result.stdout)["overview"]["nodes"] == 19
    assert "reading" in result.stderr
    assert "\x1b[1m" in CliRunner().invoke(main, ["heap", str(file)], color=True).stdout
    monkeypatch.delenv("FORCE_COLOR")
    assert run(file, "--json").stderr == ""


def write_tree(path: Path, nodes: int) -> int:
    """Write a heap of that many objects, each held by two others, and return the file's size."""
    builder = HeapBuilder()
    label, name = builder.text("next"), builder.text("Thing")
    head = builder.document()
    head["snapshot"] |= {"node_count": nodes, "edge_count": 2 * nodes}
    width = len(head["snapshot"]["meta"]["node_fields"])
    with path.open("w") as file:
        file.write(f'{{"snapshot":{json.dumps(head["snapshot"])},\n"nodes":[')
        file.write(",".join(f"3,{name},{2 * at + 1},16,2,0" for at in range(nodes)))
        file.write('],\n"edges":[')
        children = (min(2 * at + side, nodes - 1) * width for at in range(nodes) for side in (1, 2))
        file.write(",".join(f"2,{label},{child}" for child in children))
        file.write(f'],\n"strings":{json.dumps(list(builder.strings))}}}')
    return path.stat().st_size


def test_memory_stays_within_a_multiple_of_the_file(tmp_path: Path) -> None:
    """The whole overview of a file of 16 MB needs less than three times that."""
    code = (
        "import sys; from pytest_sentinel.heapcommand import heap;"
        "heap([sys.argv[1], '--json'], standalone_mode=False);"
        "status = open('/proc/self/status').read();"
        "print(status.split('VmHWM:')[1].split()[0])"
    )
    peaks = {}
    for nodes in (10, 400_000):
        path = tmp_path / f"{nodes}.heapsnapshot"
        size = write_tree(path, nodes)
        done = subprocess.run(
            [sys.executable, "-c", code, str(path)],
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )
        document, peak = done.stdout.splitlines()
        assert json.loads(document)["overview"]["reachable_nodes"] == nodes
        peaks[nodes] = int(peak) * 1024
    assert size > 15_000_000
    assert peaks[400_000] - peaks[10] < 3 * size


def test_the_command_loads_no_numpy_until_it_reads() -> None:
    """Other commands of the same group start without it."""
    code = "import sys, pytest_sentinel.heapcommand; print('numpy' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout == "False\n"


def test_the_help_explains_every_option() -> None:
    """Each option has a sentence."""
    output = run("--help").output
    for option in ("--top", "--retainers ID", "--diff OTHER", "--json"):
        assert option in output
    assert "Example: sentinel heap" in output
