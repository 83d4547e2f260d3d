"""Reading LARDER_FAULTS: what is planted, and what is refused with the names that there are."""

from __future__ import annotations

import pytest

from tests.larder.faults import ROUTES, Fault, UnknownFault, parse
from tests.larder.routes.openapi import OPERATIONS


def test_each_kind_of_fault_is_read() -> None:
    """A list with commas, blanks and an end without a fault."""
    text = "leak:kitchen, leak:server,slow:search:300ms,slow:meal:1.5s,error:meals:0.01,hang:login,"

    assert parse(text) == (
        Fault("leak:kitchen", "leak", "kitchen"),
        Fault("leak:server", "leak", "server"),
        Fault("slow:search:300ms", "slow", "search", delay=0.3),
        Fault("slow:meal:1.5s", "slow", "meal", delay=1.5),
        Fault("error:meals:0.01", "error", "meals", share=0.01),
        Fault("hang:login", "hang", "login"),
    )


def test_no_fault_is_none() -> None:
    """A shop that is told nothing has none."""
    assert parse("") == parse(" , ") == ()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("leek:kitchen", "leak:PLACE, slow:ROUTE:DURATION, error:ROUTE:SHARE or hang:ROUTE"),
        ("leak:cellar", "leak:kitchen, leak:server"),
        ("leak:kitchen:2", "leak:kitchen, leak:server"),
        ("slow:serch:300ms", ", ".join(sorted(ROUTES))),
        ("slow:search", "a duration, such as slow:search:300ms or slow:search:2s"),
        ("slow:search:300", "a duration, such as slow:search:300ms or slow:search:2s"),
        ("error:meals:2", "a share above 0, up to 1, such as error:meals:0.01"),
        ("error:meals:0", "a share above 0, up to 1, such as error:meals:0.01"),
        ("error:meals:often", "a share above 0, up to 1, such as error:meals:0.01"),
        ("hang:meals:2s", "hang:meals with nothing after it"),
    ],
)
def test_what_nobody_knows_is_refused_with_what_there_is(text: str, told: str) -> None:
    """The error names the one that is wrong and what could stand there."""
    with pytest.raises(UnknownFault) as caught:
        parse(f"leak:kitchen,{text}")

    assert caught.value.text == text
    assert told in str(caught.value)


def test_faults_are_planted_on_routes_that_are_there() -> None:
    """A fault on a route that was renamed would never show."""
    planted = {route for routes in ROUTES.values() for route in routes}

    assert planted - set(OPERATIONS) == set()
