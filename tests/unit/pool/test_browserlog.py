"""What the driver's log tells of a browser, in lines of Playwright 1.65 and Chromium 156."""

from __future__ import annotations

from pytest_sentinel.pool.browserlog import BrowserLog, launched_pid, read_log

KILLED = """\
2026-11-21T03:11:06.515Z pw:browser <launching> /usr/lib/chromium-headless-shell --headless
2026-11-21T03:11:06.582Z pw:browser <launched> pid=13645
2026-11-21T03:11:07.381Z pw:browser [pid=13645][err] [1121/031107.380699:ERROR:dbus/bus.cc:405] \
Failed to connect to the bus: Failed to connect to socket /run/dbus/system_bus_socket
2026-11-21T03:11:08.188Z pw:browser [pid=13645][err] [1121/031108.111416:WARNING:media/gpu/vaapi/\
vaapi_wrapper.cc:1655] drmGetDevices2() has not found any devices
2026-11-21T03:11:08.350Z pw:browser [pid=13645][err] [1121/031108.329599:WARNING:sandbox/policy/\
linux/sandbox_linux.cc:405] InitializeSandbox() called with multiple threads
2026-11-21T03:11:08.875Z pw:browser [pid=13645][err] [1121/031108.875085:INFO:CONSOLE:3] \
"--playwright--set--content--9cc2835a--", source:  (3)
2026-11-21T03:11:09.000Z pw:browser [pid=13645][err] [1121/031108.999999:INFO:CONSOLE:7] \
"cart is empty", source: http://127.0.0.1/cart.js (7)
2026-11-21T03:11:09.001Z pw:browser [pid=13645][out]
2026-11-21T03:11:09.100Z pw:browser [pid=13700][err] [1121/031109.100000:FATAL:other.cc:1] other
2026-11-21T03:11:09.582Z pw:browser [pid=13645] <process did exit: exitCode=null, signal=SIGKILL>
2026-11-21T03:11:09.582Z pw:browser [pid=13645] starting temporary directories cleanup
2026-11-21T03:11:09.634Z pw:browser [pid=13645] finished temporary directories cleanup
2026-11-21T03:11:09.700Z pw:browser [pid=13700] <process did exit: exitCode=0, signal=null>
"""

FAILED = """\
BrowserType.launch: Target page, context or browser has been closed
Browser logs:

<launching> /usr/bin/chrome --headless --user-data-dir=/tmp/playwright_chromiumdev_profile-yd1zmu
<launched> pid=29125
[pid=29125][err] error while loading shared libraries: libnss3.so: cannot open shared object file
Call log:
  - <launching> /usr/bin/chrome --headless --user-data-dir=/tmp/playwright_chromiumdev_profile-yd1z
  - <launched> pid=29125
  - [pid=29125][err] error while loading shared libraries: libnss3.so: cannot open shared object \
file
  - [pid=29125] <gracefully close start>
  - [pid=29125] <kill>
  - [pid=29125] <will force kill>
  - [pid=29125] <process did exit: exitCode=127, signal=null>
  - [pid=29125] starting temporary directories cleanup
  - [pid=29125] finished temporary directories cleanup
  - [pid=29125] <gracefully close end>
"""


def test_a_kill_is_read_with_its_signal_and_the_words_that_matter() -> None:
    """The signal is told, and what every Chromium says on every machine is left out."""
    assert read_log(KILLED, 13645) == BrowserLog(
        "SIGKILL",
        ('[INFO:CONSOLE:7] "cart is empty", source: http://127.0.0.1/cart.js (7)',),
    )


def test_only_the_browser_asked_for_is_read() -> None:
    """Lines of another browser in the same log are not this one's."""
    assert read_log(KILLED, 13700) == BrowserLog("exit code 0", ("[FATAL:other.cc:1] other",))


def test_a_launch_error_carries_its_lines_once() -> None:
    """The message of a launch error repeats its log; each line is kept once, with the exit code."""
    assert read_log(FAILED, launched_pid(FAILED)) == BrowserLog(
        "exit code 127",
        ("error while loading shared libraries: libnss3.so: cannot open shared object file",),
    )


def test_without_a_pid_every_browser_is_read() -> None:
    """A text that names one browser need not be told which."""
    assert read_log(FAILED).ended == "exit code 127"


def test_a_browser_that_lives_has_no_end() -> None:
    """A log without an exit line does not say how it ended."""
    assert read_log(["[pid=7][err] hello"]) == BrowserLog(None, ("hello",))


def test_only_the_last_lines_are_kept_and_long_ones_are_cut() -> None:
    """The tail holds as many lines as asked for, each at most 200 characters long."""
    rows = [f"[pid=7][err] line {number} {'x' * 300}" for number in range(10)]
    tail = read_log(rows, 7, lines=3).tail
    assert [line[:6] for line in tail] == ["line 7", "line 8", "line 9"]
    assert {len(line) for line in tail} == {200}


def test_an_empty_log_says_nothing() -> None:
    """No line, no facts."""
    assert read_log("") == BrowserLog(None, ())


def test_the_launched_pid_is_found_in_a_message() -> None:
    """The pid stands in the launch message; a browser that never was has none."""
    assert launched_pid(FAILED) == 29125
    assert launched_pid("executable doesn't exist at /nowhere") is None
