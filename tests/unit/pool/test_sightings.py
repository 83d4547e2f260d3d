"""Whose browser contexts are these?"""

from __future__ import annotations

from pytest_sentinel.pool.sightings import Sightings


def test_what_a_running_lease_may_own_is_owned() -> None:
    """A context that came while a lease runs belongs to it."""
    sightings = Sightings()
    sightings.began("a")
    sightings.look(["1"], 10.0)
    assert sightings.unowned(99.0) == {}


def test_what_a_lease_left_is_unowned_when_it_ends() -> None:
    """When the lease has ended, its context is nobody's, from the first look on that says so."""
    sightings = Sightings()
    sightings.began("a")
    sightings.look(["1"], 10.0)
    sightings.ended("a")
    sightings.look(["1"], 11.0)
    assert sightings.unowned(11.0) == {"1": "lease ended"}
    assert sightings.unowned(12.9, grace=2.0) == {}
    sightings.look(["1"], 12.0)
    assert sightings.unowned(13.0, grace=2.0) == {"1": "lease ended"}


def test_a_context_is_owned_while_one_of_its_possible_owners_runs() -> None:
    """Two leases ran when it came: it is nobody's only when both have ended."""
    sightings = Sightings()
    sightings.began("a")
    sightings.began("b")
    sightings.look(["1"], 10.0)
    sightings.ended("a")
    sightings.look(["1"], 11.0)
    assert sightings.unowned(11.0) == {}
    sightings.ended("b")
    sightings.look(["1"], 12.0)
    assert sightings.unowned(12.0) == {"1": "lease ended"}


def test_a_later_lease_does_not_own_what_was_there_before() -> None:
    """A lease that began after a context was seen cannot have opened it."""
    sightings = Sightings()
    sightings.began("a")
    sightings.look(["1"], 10.0)
    sightings.ended("a")
    sightings.began("b")
    sightings.look(["1", "2"], 11.0)
    assert sightings.unowned(11.0) == {"1": "lease ended"}


def test_a_lease_between_two_looks_may_own_what_the_second_finds() -> None:
    """A lease that came and went between two looks is counted among the possible owners."""
    sightings = Sightings()
    sightings.look([], 10.0)
    sightings.began("a")
    sightings.ended("a")
    sightings.look(["1"], 11.0)
    assert sightings.unowned(11.0) == {"1": "lease ended"}


def test_what_came_while_nobody_ran_is_nobodys() -> None:
    """A context that a killed client opened too late has no owner at all."""
    sightings = Sightings()
    sightings.look(["1"], 10.0)
    assert sightings.unowned(10.0) == {"1": "nobody"}


def test_what_is_gone_is_forgotten() -> None:
    """A context that is not there any more is not listed."""
    sightings = Sightings()
    sightings.look(["1"], 10.0)
    sightings.look([], 11.0)
    assert sightings.unowned(99.0) == {}
