"""Every error says what happened, with its numbers, and what to do next."""

from __future__ import annotations

from pytest_sentinel import errors


def test_a_bad_setting_shows_its_name_and_a_good_value() -> None:
    """SettingError names what the user wrote and shows what would have been accepted."""
    error = errors.SettingError("--sentinel-top", "many", "is not a whole number", "3")
    assert (error.name, error.value, error.good) == ("--sentinel-top", "many", "3")
    assert str(error) == "--sentinel-top: 'many' is not a whole number; a good value is 3"


def test_an_illegal_transition_names_browser_state_and_event() -> None:
    """IllegalTransition carries the three facts that a bug report needs."""
    error = errors.IllegalTransition("browser-3", "dead", "crashed")
    assert (error.browser, error.state, error.event) == ("browser-3", "dead", "crashed")
    assert str(error) == "bug: browser browser-3 in state dead cannot take event crashed"


def test_a_failed_launch_tells_cause_and_last_words() -> None:
    """BrowserLaunchFailed holds the browser, the cause in a line, and its last output."""
    error = errors.BrowserLaunchFailed("chromium headless", "exit code 1", "cannot open display")
    assert (error.browser, error.cause, error.log) == (
        "chromium headless", "exit code 1", "cannot open display",
    )  # fmt: skip
    assert str(error) == (
        "chromium headless did not launch: exit code 1\n"
        "Last lines of the browser's output:\ncannot open display"
    )


def test_a_failed_launch_without_output_says_no_more_than_the_cause() -> None:
    """Where the browser said nothing, no heading stands without lines below it."""
    error = errors.BrowserLaunchFailed("chromium headless", "exit code 1")
    assert str(error) == "chromium headless did not launch: exit code 1"


def test_an_open_breaker_tells_when_it_will_try_again() -> None:
    """BreakerOpen names the failures, the next trial, the cause and the output."""
    error = errors.BreakerOpen("chromium headless", 3, 29.6, "exit code 1", "no display")
    assert (error.browser, error.failures, error.retry_in) == ("chromium headless", 3, 29.6)
    assert str(error) == (
        "chromium headless is not launched: the last 3 launches or browsers failed "
        "(next trial in 30 s). Cause: exit code 1\n"
        "Last lines of the browser's output:\nno display"
    )


def test_an_open_breaker_without_output_ends_with_the_cause() -> None:
    """Where the browsers said nothing, the message ends with the cause."""
    error = errors.BreakerOpen("chromium headless", 4, 0.0, "exit code 1", "")
    assert str(error).endswith("(next trial in 0 s). Cause: exit code 1")


def test_a_failed_installation_lists_what_was_tried() -> None:
    """InstallationFailed tells each installer and why it could not help."""
    error = errors.InstallationFailed("a browser", [("apt-get", "not root"), ("cdn", "no route")])
    assert error.missing == "a browser"
    assert error.attempts == [("apt-get", "not root"), ("cdn", "no route")]
    assert str(error).startswith(
        "could not install a browser\n  apt-get: not root\n  cdn: no route\nPut a Chromium"
    )


def test_a_failed_installation_without_installers_says_that() -> None:
    """InstallationFailed says so when there was nothing to try."""
    error = errors.InstallationFailed("ffmpeg", [])
    assert str(error).startswith("could not install ffmpeg: there is no installer to try here\n")


def test_a_damaged_snapshot_is_named() -> None:
    """HeapSnapshotError names the file and what is wrong with it."""
    error = errors.HeapSnapshotError("a.heapsnapshot", "is cut short")
    assert (error.source, error.problem) == ("a.heapsnapshot", "is cut short")
    assert str(error).startswith("a.heapsnapshot: is cut short; expected a .heapsnapshot file")


def test_machinery_and_verdicts_are_two_families() -> None:
    """A verdict is an AssertionError, a fault of the machinery is not."""
    assert issubclass(errors.SentinelFailure, AssertionError)
    assert not issubclass(errors.SentinelError, AssertionError)
    assert not issubclass(errors.SentinelFailure, errors.SentinelError)
    assert issubclass(errors.BreakerOpen, errors.SentinelError)


def test_leftovers_are_listed_and_the_first_stands_for_all() -> None:
    """ResourceLeak says who left what; in brief, the first and how many more."""
    one, other = "context opened at a.py:1 in test_a", "thread 'b' opened at a.py:2 in test_a"
    error = errors.ResourceLeak([one, other])
    assert error.leftovers == (one, other)
    assert str(error).startswith(f"the test left 2 open:\n  {one}\n  {other}\nClose it")
    assert error.in_brief() == f"{one}, and 1 more"
    assert errors.ResourceLeak([one], "a fixture").in_brief() == one
    assert str(errors.ResourceLeak([one], "a fixture")).startswith("a fixture left 1 open:")


def test_a_verdict_in_brief_is_its_first_line() -> None:
    """A summary has room for one line."""
    assert errors.PageLeak("LEAK +1 node\n  owner window.x").in_brief() == "LEAK +1 node"


def test_what_cannot_be_measured_says_why() -> None:
    """NotMeasurable names the thing and the reason."""
    error = errors.NotMeasurable("the page's heap", "the browser is no Chromium")
    assert (error.what, error.why) == ("the page's heap", "the browser is no Chromium")
    assert str(error) == "the page's heap: the browser is no Chromium"


def test_a_resource_leak_lists_what_is_open_and_how_to_allow_it() -> None:
    """ResourceLeak has a row for each, and fails under a name of its own."""
    error = errors.ResourceLeak(["a context, opened at a.py:1", "a page, opened at a.py:2"])
    assert error.leftovers == ("a context, opened at a.py:1", "a page, opened at a.py:2")
    assert (error.status, error.letter) == ("LEAKED", "L")
    assert str(error).startswith(
        "the test left 2 open:\n  a context, opened at a.py:1\n  a page, opened at a.py:2\n"
    )


def test_a_page_leak_carries_its_report() -> None:
    """PageLeak says what it is told, and keeps the whole verdict at hand."""
    report = object()
    error = errors.PageLeak("it grows", report)
    assert (str(error), error.report, error.letter) == ("it grows", report, "L")
    assert errors.PageLeak("it stays").report is None


def test_a_broken_budget_names_promise_and_findings() -> None:
    """MemoryBudgetExceeded says which promise was broken, by what, and where the memory was."""
    error = errors.MemoryBudgetExceeded("limit_page_heap", ["80 MiB of 64 MiB"], ["window.cache"])
    assert error.promise == "limit_page_heap"
    assert (error.findings, error.details) == (("80 MiB of 64 MiB",), ("window.cache",))
    assert (error.status, error.letter) == ("MEMORY", "M")
    assert str(error) == "limit_page_heap: 80 MiB of 64 MiB\n  window.cache"


def test_a_value_that_cannot_show_itself_is_named_by_its_class() -> None:
    """An error about a value must not fail over it."""

    class Mute:
        def __repr__(self) -> str:
            raise RuntimeError

    assert errors.shown(Mute()) == "<Mute>"
    assert errors.shown("x" * 300, 10) == "'xxxxxx..."
