"""What a service may be told."""

from __future__ import annotations

import pytest

from pytest_sentinel.addresses import Address
from pytest_sentinel.errors import SettingError
from pytest_sentinel.pool.servesettings import ServeSettings, read_token

OPEN = Address("0.0.0.0", 1)


def test_loopback_needs_no_token() -> None:
    """The defaults are good as they are."""
    settings = ServeSettings()

    assert (str(settings.listen), str(settings.control)) == ("127.0.0.1:9323", "127.0.0.1:9324")


def test_a_token_opens_other_interfaces() -> None:
    """With one, any address will do."""
    assert ServeSettings(listen=OPEN, token=b"0123456789abcdef").listen == OPEN


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("--listen", {"listen": OPEN}),
        ("--control", {"control": OPEN}),
        ("--control", {"listen": Address("a", 5), "control": Address("a", 5), "token": b"x"}),
    ],
)
def test_what_is_unsafe_or_senseless_is_refused(name: str, told: dict[str, object]) -> None:
    """The error names the option."""
    with pytest.raises(SettingError) as caught:
        ServeSettings(**told)  # type: ignore[arg-type]

    assert caught.value.name == name


def test_ports_that_the_system_chooses_differ() -> None:
    """Port 0 twice is not the same place."""
    anywhere = Address("127.0.0.1", 0)

    assert ServeSettings(listen=anywhere, control=anywhere).listen == anywhere


def test_a_token_is_a_word() -> None:
    """The space around it is not part of it."""
    assert read_token(" 0123456789abcdef\n", "file") == b"0123456789abcdef"


@pytest.mark.parametrize("text", ["", "short", "0123456789 abcdef", "0123456789abcde\x00"])
def test_what_is_no_secret_is_refused(text: str) -> None:
    """Too short, two words or unprintable raise, without the word itself in the message."""
    with pytest.raises(SettingError) as caught:
        read_token(text, "file")

    assert not text or text not in str(caught.value)
