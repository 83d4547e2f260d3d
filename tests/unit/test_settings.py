"""The table of options: its defaults, what it accepts, and what it says to what it refuses."""

from __future__ import annotations

import dataclasses

import pytest

from pytest_sentinel.addresses import Address
from pytest_sentinel.errors import SettingError
from pytest_sentinel.settings import OPTIONS, Settings, as_text, build, parse_bool
from pytest_sentinel.units import GIB, MIB

BY_NAME = {option.name: option for option in OPTIONS}


def given(name: str, text: str) -> Settings:
    """Build settings in which only ``name`` is said."""
    return build({name: (BY_NAME[name].flag, text)})


DEFAULTS = {
    "crash_retries": 1,
    "recycle_after": 500,
    "max_browser_age": 3600.0,
    "max_browser_memory": GIB,
    "probe_timeout": 10.0,
    "launch_timeout": 30.0,
    "close_timeout": 30.0,
    "worker_memory": 512 * MIB,
    "workers_by_memory": False,
    "record": ".sentinel",
    "suite": "auto",
    "branch_class": "auto",
    "page_metrics": "off",
    "gates": None,
    "coverage_file": None,
    "metrics": None,
    "metrics_linger": 15.0,
    "push": None,
    "textfile": None,
    "top": 3,
}


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_defaults_stand_when_nobody_says_anything(name: str, value: object) -> None:
    """Without a word from anybody a setting has its documented default."""
    assert getattr(build(), name) == value


def test_settings_cannot_be_changed() -> None:
    """Settings are frozen: what a run was told stands."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        build().top = 4  # type: ignore[misc]


def test_three_spellings_come_from_one_name() -> None:
    """Flag, ini key and environment variable are made from the option's name alone."""
    option = BY_NAME["recycle_after"]
    assert option.flag == "--sentinel-recycle-after"
    assert option.ini == "sentinel_recycle_after"
    assert option.env == "PYTEST_SENTINEL_RECYCLE_AFTER"


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_the_good_value_of_each_option_is_good(option: object) -> None:
    """What an error message shows as a good value is accepted."""
    name: str = option.name  # type: ignore[attr-defined]
    given(name, BY_NAME[name].good.strip("'"))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("crash_retries", "0", 0),
        ("recycle_after", "1", 1),
        ("recycle_after", "off", None),
        ("recycle_after", " Off ", None),
        ("max_browser_age", "30 m", 1800.0),
        ("max_browser_age", "no", None),
        ("max_browser_memory", "400MB", 400 * MIB),
        ("max_browser_memory", "false", None),
        ("probe_timeout", "200 ms", 0.2),
        ("worker_memory", "1 MB", MIB),
        ("workers_by_memory", "on", True),
        ("record", "my records", "my records"),
        ("leaks", " Warn ", "warn"),
        ("record", "off", None),
        ("top", "0", 0),
        ("suite", " checkout ", "checkout"),
        ("branch_class", "PR", "pr"),
        ("page_metrics", "heap", "heap"),
        ("metrics", "http://127.0.0.1:9400/", Address("127.0.0.1", 9400)),
        ("metrics", "127.0.0.1", Address("127.0.0.1", 9325)),
        ("metrics_linger", "off", None),
        ("push", "https://gateway/base", "https://gateway/base"),
    ],
)
def test_good_values_are_taken(name: str, text: str, value: object) -> None:
    """Each option reads its own kind of value, and off where off makes sense."""
    assert getattr(given(name, text), name) == value


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("crash_retries", "-1", "is less than 0"),
        ("leaks", "loudly", "is none of error, warn, off"),
        ("crash_retries", "once", "is not a whole number"),
        ("crash_retries", "off", "is not a whole number"),
        ("recycle_after", "0.5", "is not a whole number"),
        ("max_browser_age", "a while", "is not a duration"),
        ("max_browser_age", "0 s", "is not more than zero"),
        ("max_browser_memory", "much", "is not a size"),
        ("max_browser_memory", "500", "is less than 1 MB"),
        ("max_browser_memory", "-5 GB", "is less than 1 MB"),
        ("probe_timeout", "off", "is not a duration"),
        ("workers_by_memory", "perhaps", "is neither on nor off"),
        ("record", "  ", "is empty"),
        ("leaks", "quietly", "is none of error, warn, off"),
        ("top", "", "is not a whole number"),
        ("branch_class", "feature", "is none of auto, main, release, pr, local"),
        ("metrics", "127.0.0.1:high", "has no port between 0 and 65535"),
        ("push", "gateway:9091", "is no http:// or https:// address"),
    ],
)
def test_bad_values_are_refused_with_a_good_one(name: str, text: str, problem: str) -> None:
    """The error names the setting as its user wrote it, and ends with a value that works."""
    option = BY_NAME[name]
    with pytest.raises(SettingError) as caught:
        build({name: (option.env, text)})
    assert str(caught.value) == f"{option.env}: {text!r} {problem}; a good value is {option.good}"


@pytest.mark.parametrize("text", ["1", "true", "Yes", " ON "])
def test_words_for_on(text: str) -> None:
    """Four words mean on, in any case."""
    assert parse_bool(text) is True


@pytest.mark.parametrize("text", ["0", "false", "No", " OFF "])
def test_words_for_off(text: str) -> None:
    """Four words mean off, in any case."""
    assert parse_bool(text) is False


def test_other_words_are_neither() -> None:
    """Any other word is refused rather than taken for on or off."""
    with pytest.raises(ValueError, match="is neither on nor off"):
        parse_bool("2")


@pytest.mark.parametrize(
    ("value", "separator", "text"),
    [
        (True, "", "on"),
        (False, "", "off"),
        (3, "", "3"),
        (2.5, "", "2.5"),
        ("30 s", "", "30 s"),
        (["a", 1, True], ",", "a, 1, on"),
        ([], ";", ""),
    ],
)
def test_values_of_toml_become_texts(value: object, separator: str, text: str) -> None:
    """As they would be written in an ini file."""
    assert as_text(value, separator) == text


@pytest.mark.parametrize(
    ("value", "separator", "problem"),
    [
        (["a"], "", "is a list, and one value is wanted"),
        ([["a"]], ",", "is a list, and one value is wanted"),
        ({"a": 1}, ",", "is a dict, not a text or a number"),
        (None, "", "is a NoneType"),
    ],
)
def test_other_values_of_toml_are_refused(value: object, separator: str, problem: str) -> None:
    """A table is never an option's value, a list only where there may be several."""
    with pytest.raises(ValueError, match=problem):
        as_text(value, separator)


@pytest.mark.parametrize("name", ["probe_timeout", "metrics_linger"])
@pytest.mark.parametrize("text", ["367 d", "9" * 400])
def test_a_time_that_no_clock_can_wait_for_is_refused(name: str, text: str) -> None:
    """A year is the most."""
    with pytest.raises(SettingError, match="is more than a year"):
        build({name: ("it", text)})


def test_a_path_with_a_null_character_is_refused() -> None:
    """No file system has one."""
    with pytest.raises(SettingError, match="has a null character"):
        build({"record": ("it", "a\0b")})


def test_a_size_beyond_all_is_none() -> None:
    """Numbers that are too large to be numbers are refused, and cut short in the message."""
    with pytest.raises(SettingError, match=r"'9+\.\.\. is not a size"):
        build({"worker_memory": ("it", "9" * 400 + " TB")})
