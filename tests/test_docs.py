"""The documentation is complete and true: every name is in it, and what it shows is what happens.

Tables and help texts that the code knows are written by ``python -m tests.test_docs`` and compared
here. The tutorial's files are laid out and its commands are run.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest

import pytest_sentinel
from pytest_sentinel import cli, errors, gates, plugin
from pytest_sentinel.leaks.verdict import Leak, LeakReport
from pytest_sentinel.memory.limits import COUNTS, SIZES
from pytest_sentinel.memory.processes import MemoryReading
from pytest_sentinel.pool.ledger import Statistics
from pytest_sentinel.settings import OPTIONS
from pytest_sentinel.telemetry import record
from pytest_sentinel.telemetry.catalogue import CATALOGUE, DOMAINS
from pytest_sentinel.telemetry.samples import MEASURED

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "pytest_sentinel"
DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
MODULES = sorted(PACKAGE.rglob("*.py"))

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
_MACHINE = re.compile(r"/work\b|/root\b|(?<!\w)/home\b|/tmp/(?!playwright_)|\.pyenv|\blocalhost\b")


def relative(path: Path) -> str:
    """Name a file as a test id does."""
    return path.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """Return the code blocks of ``page`` in ``language``."""
    return [text for found, text in _BLOCK.findall(page.read_text()) if found == language]


# What the code knows is generated


def options_table() -> str:
    """Return the table of all options."""
    rows = ["| option, ini key, environment | default | meaning |", "|---|---|---|"]
    for option in OPTIONS:
        flag = option.flag if option.is_switch else f"{option.flag}={option.metavar}"
        names = "<br>".join(f"`{name}`" for name in (flag, option.ini, option.env))
        meaning = option.help.replace("|", r"\|")
        rows.append(f"| {names.replace('|', chr(92) + '|')} | `{option.default}` | {meaning} |")
    return "\n".join(rows) + "\n"


def commands() -> str:
    """Return the help texts of the command and of all that it can do.

    They are asked for, not printed: what a terminal, a pipe or another thread would make of
    them is none of the documentation's business.
    """
    settings: dict[str, Any] = cli.main.context_settings
    whole = click.Context(cli.main, info_name="sentinel", terminal_width=80, **settings)
    shown = [("sentinel", whole)]
    for name, command in sorted(cli.main.commands.items()):
        shown.append((f"sentinel {name}", click.Context(command, whole, name)))
    parts = []
    for title, context in shown:
        # click keeps a hyphen at the width of the paper in some versions, and not in others.
        text = "\n".join(line.rstrip() for line in context.get_help().splitlines())
        parts.append(f"## `{title}`\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def metrics_table() -> str:
    """Return the table of all metrics."""
    rows = ["| metric | type | labels | of | meaning |", "|---|---|---|---|---|"]
    for series in CATALOGUE:
        labels = ", ".join(f"`{label}`" for label in series.labels)
        edges = f"; edges {', '.join(f'{edge:g}' for edge in series.buckets)}"
        told = series.help + (edges if series.buckets else "")
        rows.append(f"| `{series.name}` | {series.kind} | {labels} | {series.source} | {told} |")
    rows += ["", "| label | values |", "|---|---|"]
    for label, domain in DOMAINS.items():
        values = f"at most {domain}" if isinstance(domain, int) else ", ".join(domain)
        rows.append(f"| `{label}` | {values} |")
    return "\n".join(rows) + "\n"


def gates_table() -> str:
    """Return the table of all that gates can ask about."""
    rows = ["| metric | shape | unit | labels | meaning |", "|---|---|---|---|---|"]
    for name, measured in MEASURED.items():
        labels = ", ".join(f"`{label}`" for label in measured.labels)
        unit = measured.unit or "-"
        rows.append(f"| `{name}` | {measured.shape} | {unit} | {labels} | {measured.help} |")
    return "\n".join(rows) + "\n"


GENERATED = {
    REFERENCE / "metrics.md": ("metrics", metrics_table),
    REFERENCE / "gates.md": ("gates", gates_table),
    REFERENCE / "options.md": ("options", options_table),
    REFERENCE / "command.md": ("commands", commands),
}


def split(page: Path, name: str) -> tuple[str, str, str]:
    """Return what is before, within and after the generated part of ``page``."""
    head, begin, rest = page.read_text().partition(f"<!-- begin: {name} ")
    mark, end, rest = rest.partition("-->\n")
    within, last, tail = rest.partition(f"<!-- end: {name} -->")
    assert all((begin, end, last)), f"{relative(page)} has no part {name}"
    return head + begin + mark + end, within, last + tail


def write() -> None:
    """Write every generated part anew."""
    for page, (name, generate) in GENERATED.items():
        head, _, tail = split(page, name)
        page.write_text(f"{head}\n{generate()}\n{tail}")


@pytest.mark.parametrize("document", GENERATED, ids=relative)
def test_generated_parts_are_up_to_date(document: Path) -> None:
    """Tables and help texts are what the code says now."""
    name, generate = GENERATED[document]

    _, within, _ = split(document, name)

    assert within.strip() == generate().strip(), "run: python -m tests.test_docs"


# Every name is documented


def fixtures() -> list[str]:
    """Return the fixtures that the package defines for its users."""
    found = []
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                marks = [ast.unparse(decorator) for decorator in node.decorator_list]
                if any(mark.startswith("pytest.fixture") for mark in marks):
                    found.append(node.name)
    return sorted(found)


def markers() -> list[str]:
    """Return the markers that the plugin registers."""
    return [re.split(r"\W", line)[0] for line in plugin.MARKERS]


def error_classes() -> list[str]:
    """Return the public exceptions and warnings."""
    return [
        name
        for name, value in vars(errors).items()
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and value.__module__ == errors.__name__
    ]


def documented(page: str, *names: str) -> list[str]:
    """Return those of ``names`` that no table, heading or text of a reference page has as code."""
    text = (REFERENCE / page).read_text()
    words = set(re.findall(r"[\w-]+", " ".join(re.findall(r"`([^`\n]+)`", text))))
    return [name for name in names if name not in words]


def test_every_way_to_switch_it_off_is_documented() -> None:
    """The reference names option, variable and ini key; the other options are generated."""
    switches = ("--no-sentinel", "PYTEST_SENTINEL", "sentinel")

    assert documented("options.md", *switches) == []


def test_every_marker_is_documented() -> None:
    """The reference has a section for each marker."""
    text = (REFERENCE / "markers-and-fixtures.md").read_text()

    missing = [name for name in markers() if f"\n### `{name}`\n" not in text]

    assert missing == []


def test_every_fixture_is_documented() -> None:
    """The reference has a section for each fixture."""
    text = (REFERENCE / "markers-and-fixtures.md").read_text()

    missing = [name for name in fixtures() if f"\n### `{name}`\n" not in text]

    assert missing == []


def test_every_kind_of_leftover_is_documented() -> None:
    """The reference names every kind that allow_leak takes."""
    from pytest_sentinel.leaks.leftovers import KINDS

    assert documented("markers-and-fixtures.md", *KINDS) == []


def test_every_value_that_tests_get_is_documented() -> None:
    """The reference names every attribute of statistics, reports, leaks and readings."""
    names = [
        field.name
        for value in (Statistics, LeakReport, Leak, MemoryReading)
        for field in fields(value)
    ]

    assert documented("markers-and-fixtures.md", *names, *SIZES, *COUNTS) == []


def test_every_status_is_documented() -> None:
    """The reference explains each word and letter that a result may have."""
    classes = [getattr(errors, name) for name in error_classes()]
    rows = {f"| `{each.letter}` | `{each.status}` |" for each in classes if hasattr(each, "letter")}
    text = (REFERENCE / "markers-and-fixtures.md").read_text()

    missing = [row for row in {*rows, "| `C` | `CRASHED` |"} if row not in text]

    assert missing == ["| `F` | `FAILED` |"]  # pytest's own


def test_every_error_is_documented() -> None:
    """The reference has a row for each exception, with each of its attributes."""
    names = error_classes()
    for name in error_classes():
        told = re.search(r"Attributes:\n(.*)\Z", getattr(errors, name).__doc__ or "", re.DOTALL)
        names += re.findall(r"^ {8}(\w+):", told[1], re.MULTILINE) if told else []

    assert documented("errors.md", *names) == []


def test_every_word_of_a_gate_is_documented() -> None:
    """Aggregations by shape, and no other; operators, options, presets, what each ends with."""
    text = (REFERENCE / "gates.md").read_text()
    for shape, words in gates._AGGREGATIONS.items():
        row = re.search(rf"^\| (?:aggregation )?of a {shape} \|(.*)", text, re.MULTILINE)
        assert row is not None, shape
        assert set(re.findall(r"`([^`]+)`", row[1])) == set(words)
    row = re.search(r"^\| operator \|(.*)", text, re.MULTILINE)
    assert row is not None
    assert set(re.findall(r"`([^`]+)`", row[1])) == set(gates._OPERATORS)
    options = [field.name for field in fields(gates._Options)]
    assert documented("gates.md", *options, *gates.PRESETS) == []
    codes = (gates.PASSED, gates.BREACHED, gates.WITHOUT_DATA)
    assert [code for code in codes if f"\n| {code} |" not in text] == []


def test_every_option_of_load_is_documented() -> None:
    """What Locust's command line gets from us is in the reference, and nothing that it does not."""
    from pytest_sentinel.load.hooks import add_options

    added: list[str] = []

    class Parser:
        def add_argument(self, flag: str, **_: Any) -> None:
            added.append(flag)

    add_options(Parser())

    text = (REFERENCE / "load.md").read_text()
    rows = re.findall(r"^\| `(--sentinel-[\w-]+)` \|", text, re.MULTILINE)
    assert sorted(rows) == sorted(added)


def test_every_exit_code_is_documented() -> None:
    """Each command has a row in the table of exit codes, and pytest has one."""
    text = (REFERENCE / "command.md").read_text().partition("## Exit codes")[2]
    told = set(re.findall(r"`(sentinel [\w-]+|pytest)`", text))

    assert told == {"pytest", *(f"sentinel {name}" for name in cli.main.commands)}


def test_every_variable_is_documented() -> None:
    """What a user may set in the environment is in the reference."""
    used = {
        found
        for module in MODULES
        for found in re.findall(r'"((?:PYTEST_)?SENTINEL(?:_[A-Z]+)*)"', module.read_text())
    }
    text = "".join(page.read_text() for page in REFERENCE.glob("*.md"))

    assert [name for name in sorted(used) if name not in text] == []


def test_every_public_name_is_documented() -> None:
    """What can be imported from the package is on a page of the reference."""
    text = "".join(page.read_text() for page in REFERENCE.glob("*.md"))

    missing = [name for name in pytest_sentinel.__all__ if f"`{name}`" not in text]

    assert missing == []


SECTIONS: dict[str, Any] = {
    "## Line `run`": record.Run,
    "## Line `attempt`": record.Attempt,
    "### `memory`": record.Memory,
    "### `crash`": record.Crash,
    "### `leaks`": record.Leftover,
    "### `page`": record.PageFigures,
    "### `visits`": record.Visit,
    "## Line `begun`": record.Begun,
    "## Line `worker`": record.WorkerDeath,
    "## Line `sample`": record.Sample,
    "## Line `gate`": record.GateVerdict,
    "## Line `browser`": record.BrowserEvent,
    "## Line `end`": record.End,
}


def test_every_line_of_the_record_is_documented() -> None:
    """Each kind of line has a section."""
    kinds = {struct.__struct_config__.tag for struct in record.Line.__args__}

    assert {heading for heading in SECTIONS if "Line" in heading} == {
        f"## Line `{kind}`" for kind in kinds
    }


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_field_of_the_record_is_documented(heading: str) -> None:
    """The table of a section has all fields of its line or part, and no other."""
    text = (REFERENCE / "run-record.md").read_text()
    assert f"\n{heading}\n" in text

    section = re.split(r"\n##+ ", text.split(f"\n{heading}\n", 1)[1])[0]
    table = section.partition("| field |")[2].partition("\n\n")[0]
    told = re.findall(r"`(\w+)`", " ".join(re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE)))

    assert set(told) == {field.name for field in msgspec.structs.fields(SECTIONS[heading])}


def test_the_lines_shown_of_a_record_are_lines_of_it() -> None:
    """Examples can be read, and have no field that the schema does not know."""
    rows = "".join(blocks(REFERENCE / "run-record.md", "json")).splitlines()
    lines = [row for row in rows if '"where"' not in row]

    read = list(record.decode(row.encode() for row in lines))

    assert len(read) == len(lines) >= 7
    assert [json.loads(record.encode(line)) for line in read] == [json.loads(row) for row in lines]


# Links, paths


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", PAGES, ids=relative)
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link names a file that is there, and a heading that is in it."""
    broken = []
    for link in _LINK.findall(_BLOCK.sub("", document.read_text())):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def test_every_page_can_be_reached() -> None:
    """The index links to each page of the documentation, or to an index that does."""
    linked = {
        (index.parent / link.partition("#")[0]).resolve()
        for index in DOCS.rglob("index.md")
        for link in _LINK.findall(index.read_text())
    }

    alone = [relative(page) for page in DOCS.rglob("*.md") if page not in linked]

    assert alone == ["docs/index.md"]


@pytest.mark.parametrize("document", PAGES, ids=relative)
def test_no_page_mentions_a_machine(document: Path) -> None:
    """Nothing shown betrays where it was made."""
    assert _MACHINE.findall(document.read_text()) == []


# Docstrings


def public(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.AST]]:
    """Yield every public class, function and method below ``node`` that is not local."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if child.name.startswith("_"):
                continue
            yield prefix + child.name, child
            if isinstance(child, ast.ClassDef):
                yield from public(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.If | ast.Try):
            yield from public(child, prefix)


@pytest.mark.parametrize("module", MODULES, ids=relative)
def test_what_is_public_says_what_it_does(module: Path) -> None:
    """A module has a docstring of 1 to 10 lines; public classes and functions have one."""
    tree = ast.parse(module.read_text())

    told = ast.get_docstring(tree) or ""
    silent = [name for name, node in public(tree) if not ast.get_docstring(node)]  # type: ignore[arg-type]

    assert 1 <= len(told.splitlines()) <= 10
    assert silent == []


# The tutorial

TUTORIAL = DOCS / "tutorial.md"


def commands_of(page: Path) -> list[tuple[str, str]]:
    """Return each pytest command that ``page`` shows, with its output."""
    found = []
    for text in blocks(page, "console"):
        command, _, output = text.partition("\n")
        if command.startswith("$ pytest"):
            found.append((command.removeprefix("$ "), output))
    return found


def normalised(output: str) -> set[str]:
    """Return the lines of ``output`` without what differs from run to run."""
    lines = set()
    for line in output.splitlines():
        if re.match(r"(slowest|hungriest|\s)\s+\+?\d", line):
            continue
        line = re.sub(r"(each worker its own browsers;).*", r"\1", line)
        line = re.sub(r"\d{8}-\d{6}-[0-9a-f]{8}", "RUN", line)
        line = re.sub(r"\d+(\.\d+)? ([KMG]iB)", "SIZE", line)
        line = re.sub(r"\d+(\.\d+)?s( \(.*\))?", "SECONDS", line)
        line = re.sub(r"\), SIZE \[|, 1 warning", lambda cut: ") [" if "[" in cut[0] else "", line)
        lines.add(re.sub(r"={2,}", "==", " ".join(line.split())))
    return lines - {"...", ""}


@pytest.mark.browser
@pytest.mark.parametrize(
    ("command", "shown"), commands_of(TUTORIAL), ids=[entry[0] for entry in commands_of(TUTORIAL)]
)
def test_the_tutorial_shows_what_happens(tmp_path: Path, command: str, shown: str) -> None:
    """Each line of output that the tutorial shows comes out of the files that it shows."""
    for text in blocks(TUTORIAL, "python"):
        name = re.match(r"# (\w+\.py)\n", text)
        assert name is not None
        (tmp_path / name[1]).write_text(text)
    # In CI pytest does not cut its lines to the terminal's width, as it does for the reader.
    ours = ("PYTEST_", "CI", "BUILD_NUMBER")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    environment["COLUMNS"] = "80"

    ran = subprocess.run(
        [sys.executable, "-m", *command.split(), "-p", "no:locust"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    happened = normalised(ran.stdout)
    assert [line for line in normalised(shown) if line not in happened] == [], ran.stdout


if __name__ == "__main__":
    write()
