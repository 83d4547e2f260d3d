"""The books of a shared pool, case by case."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_sentinel.errors import PoolRefused
from pytest_sentinel.pool import refusals
from pytest_sentinel.pool.actions import Action, Clean, End, Grant, Launch, Refuse, Revoke
from pytest_sentinel.pool.leases import Leases
from pytest_sentinel.pool.options import PoolOptions
from pytest_sentinel.pool.states import BrowserState
from pytest_sentinel.pool.tickets import TicketState
from pytest_sentinel.pool.wear import Reason


class Desk:
    """Books with a shell that launches and ends at once, unless told otherwise."""

    def __init__(self, launches_at_once: int = 4, **options: Any) -> None:
        told = {"contexts_per_browser": 2, "maximum": 2, **options}
        self.leases = Leases(PoolOptions(**told), launches_at_once, jitter=0.0)
        self.now = 100.0
        self.log: list[Action] = []
        self.launching: list[str] = []
        self.ending: list[str] = []
        self.obedient = True
        self.tick()

    def do(self, actions: list[Action]) -> list[Action]:
        """Note actions, and carry out launches and ends."""
        self.log += actions
        for action in actions:
            if isinstance(action, Launch):
                self.launching.append(action.browser)
            if isinstance(action, End):
                self.ending.append(action.browser)
        while self.obedient and (self.launching or self.ending):
            if self.launching:
                self.do(self.leases.launched(self.launching.pop(0), self.now))
            else:
                self.do(self.leases.gone(self.ending.pop(0), self.now))
        return actions

    def ask(self, engine: str = "chromium", owner: str = "anna", wait: float = 30.0) -> str:
        """Ask for a lease."""
        name, actions = self.leases.ask(engine, owner, wait, self.now)
        self.do(actions)
        return name

    def hold(self, owner: str = "anna", engine: str = "chromium") -> str:
        """Ask for a lease and accept it."""
        name = self.ask(engine, owner)
        assert self.leases.accept(name, self.now)
        return name

    def leave(self, name: str, *, clean: bool = True) -> list[Action]:
        """End a lease, and by default confirm that its contexts are gone."""
        actions = self.do(self.leases.leave(name, self.now))
        if clean:
            actions = [*actions, *self.do(self.leases.cleaned(name, self.now))]
        return actions

    def tick(self, seconds: float = 0.0) -> list[Action]:
        """Let time pass."""
        self.now += seconds
        return self.do(self.leases.tick(self.now))

    def browsers(self) -> dict[str, str]:
        """Return every browser with its state."""
        return {b.name: b.state.value for place in self.leases.places for b in place.browsers()}

    def of(self, kind: type) -> list[Any]:
        """Return all actions of one kind so far."""
        return [action for action in self.log if isinstance(action, kind)]

    def refusal(self, name: str) -> PoolRefused:
        """Return how a ticket was refused."""
        error: PoolRefused = next(a.error for a in self.of(Refuse) if a.ticket == name)
        return error

    def state(self, name: str) -> TicketState | None:
        """Return where a ticket stands."""
        ticket = self.leases.ticket(name)
        return None if ticket is None else ticket.state


# Asking and holding


def test_the_first_client_has_a_browser_launched() -> None:
    """A pool without a warm browser launches one when somebody asks."""
    desk = Desk()
    assert desk.browsers() == {}
    name = desk.ask()
    assert desk.of(Launch) == [Launch("browser-1", "chromium", Reason.START, 1)]
    assert desk.of(Grant) == [Grant(name, "browser-1")]
    assert desk.leases.accept(name, desk.now) is True
    assert desk.leases.counters["leases_total"] == {"chromium": 1}


def test_the_minimum_is_warm_from_the_start() -> None:
    """Browsers of the minimum are launched before anybody asks."""
    assert Desk(minimum=2).browsers() == {"browser-1": "ready", "browser-2": "ready"}


def test_leases_go_to_the_least_loaded_browser() -> None:
    """Two browsers share four leases evenly."""
    desk = Desk(minimum=2)
    tickets = [desk.hold() for _ in range(4)]
    found = [desk.leases.ticket(name) for name in tickets]
    browsers = [ticket.browser for ticket in found if ticket]
    assert browsers == ["browser-1", "browser-2", "browser-1", "browser-2"]


def test_only_what_waits_beyond_the_coming_slots_launches_more() -> None:
    """Two waiters fit on one browser; the third has another launched."""
    desk = Desk()
    desk.obedient = False
    for _ in range(2):
        desk.ask()
    assert len(desk.of(Launch)) == 1
    desk.ask()
    assert len(desk.of(Launch)) == 2


def test_launches_at_once_are_bounded() -> None:
    """No more browsers start at the same time than allowed."""
    desk = Desk(launches_at_once=1, maximum=4)
    desk.obedient = False
    for _ in range(8):
        desk.ask()
    assert desk.launching == ["browser-1"]


def test_waiters_are_served_in_order() -> None:
    """Who asked first is served first, when a slot is known to be clean."""
    desk = Desk(maximum=1, contexts_per_browser=1)
    first = desk.hold()
    second, third = desk.ask(), desk.ask()
    assert desk.leave(first, clean=False) == [Clean(first, "browser-1")]
    assert desk.state(second) is TicketState.WAITING
    assert desk.do(desk.leases.cleaned(first, desk.now)) == [Grant(second, "browser-1")]
    assert desk.state(third) is TicketState.WAITING


def test_a_waiter_that_leaves_at_hand_over_gives_its_slot_to_the_next() -> None:
    """A grant that was not accepted goes to the next waiter at once."""
    desk = Desk(maximum=1, contexts_per_browser=1)
    first = desk.hold()
    second, third = desk.ask(), desk.ask()
    desk.leave(first)
    assert desk.state(second) is TicketState.GRANTED
    assert desk.leave(second, clean=False) == [Grant(third, "browser-1")]
    assert desk.leases.counters["refusals_total"] == {"declined": 1}


def test_a_waiter_that_leaves_is_forgotten() -> None:
    """A client that goes while it waits is served no more, and going twice changes nothing."""
    desk = Desk(maximum=1, contexts_per_browser=1)
    desk.hold()
    name = desk.ask()
    desk.leave(name)
    assert desk.leave(name) == []
    assert desk.leases.counters["refusals_total"] == {"gone": 1}


def test_cleaning_is_confirmed_once() -> None:
    """A second confirmation, or one for a lease that is held, changes nothing."""
    desk = Desk()
    name = desk.hold()
    assert desk.leases.cleaned(name, desk.now) == []
    desk.leave(name)
    assert desk.leases.cleaned(name, desk.now) == []


def test_a_lease_that_is_cleaning_cannot_be_left_again() -> None:
    """Leaving twice ends a lease once."""
    desk = Desk()
    name = desk.hold()
    desk.leave(name, clean=False)
    assert desk.leases.leave(name, desk.now) == []
    assert desk.leases.counters["ends_total"] == {"released": 1}


# Refusals


def test_a_wait_in_vain_is_refused_with_place_and_counts() -> None:
    """After its wait a client is told how full the pool was."""
    desk = Desk(maximum=1)
    desk.hold(), desk.hold()
    name = desk.ask(wait=5.0)
    assert desk.leases.next_due() == 105.0
    desk.tick(5.0)
    assert desk.refusal(name).reason == "timeout"
    assert str(desk.refusal(name)) == (
        "no chromium was free within 5.0 s: 2 of 2 slots are leased, 1 clients wait, this one as "
        "number 1. Wait longer, run fewer clients, or raise --max."
    )
    assert desk.leases.next_due() is None


def test_a_wait_that_ends_during_a_launch_problem_says_so() -> None:
    """The cause of the last failed launch is in the refusal."""
    desk = Desk()
    desk.obedient = False
    name = desk.ask(wait=5.0)
    desk.do(desk.leases.launch_failed("browser-1", desk.now, "exit code 1", "no display"))
    desk.tick(5.0)
    assert "the last launch failed: exit code 1\n" in str(desk.refusal(name))
    assert "no display" in str(desk.refusal(name))


def test_who_does_not_wait_is_refused_at_once() -> None:
    """With a wait of nothing there is a lease now or never, and nothing is launched for it."""
    desk = Desk()
    name = desk.ask(wait=0)
    assert desk.refusal(name).reason == "full"
    assert desk.of(Launch) == []
    desk.hold()
    assert desk.state(desk.ask(wait=0)) is TicketState.GRANTED


def test_a_full_queue_refuses_the_next_one() -> None:
    """The queue has a bound, and the one too many is not kept waiting."""
    desk = Desk(maximum=1, contexts_per_browser=1, max_waiting=1)
    desk.hold()
    desk.ask()
    name = desk.ask()
    assert desk.refusal(name).reason == "full"
    assert "the queue is full: 1 of 1 slots are leased, 1 clients wait" in str(desk.refusal(name))


def test_an_owner_at_its_cap_fills_no_queue_for_others() -> None:
    """With a full queue of one capped owner others are served at once, and wait when they must."""
    desk = Desk(maximum=1, contexts_per_browser=3, per_owner=1, max_waiting=4)
    desk.hold("greedy")
    crowd = [desk.ask(owner="greedy") for _ in range(5)]
    assert desk.refusal(crowd[4]).reason == "full"
    assert desk.leases.demand() == {"chromium": 0}
    assert desk.state(desk.ask(owner="anna")) is TicketState.GRANTED
    assert desk.state(desk.ask(owner="bert")) is TicketState.GRANTED
    waits = desk.ask(owner="cleo")
    assert desk.state(waits) is TicketState.WAITING
    assert str(desk.refusal(crowd[3])) == (
        "the queue is full: 3 of 3 slots are leased, 4 clients wait and no more than 4 may, most of"
        " them of 'greedy'; the newest of those made room for another owner. Run fewer clients, or"
        " raise --max, --contexts-per-browser or --max-waiting."
    )
    assert desk.leases.demand() == {"chromium": 1}
    assert desk.leases.waiting() == {"chromium": 4}


def test_a_newcomer_does_not_wait_behind_all_of_another_owner() -> None:
    """After ninety-six requests of one owner another one's first is served second."""
    desk = Desk(maximum=1, contexts_per_browser=1, max_waiting=100)
    held = desk.hold("greedy")
    crowd = [desk.ask(owner="greedy", wait=500.0) for _ in range(96)]
    newcomer = desk.ask(owner="anna", wait=500.0)
    desk.leave(held)
    assert desk.state(crowd[0]) is TicketState.GRANTED
    desk.leave(crowd[0])
    assert desk.state(newcomer) is TicketState.GRANTED


def test_a_wait_in_vain_among_several_owners_says_whose_place_it_was() -> None:
    """The place is counted in the line of the owner."""
    desk = Desk(maximum=1, contexts_per_browser=1)
    desk.hold()
    desk.ask(owner="anna"), desk.ask(owner="bert")
    name = desk.ask(owner="bert", wait=5.0)
    desk.tick(5.0)
    assert "3 clients wait, this one as number 2 of the 2 of its owner" in str(desk.refusal(name))


def test_with_no_queue_a_free_slot_is_still_given() -> None:
    """A bound of nobody waiting refuses nobody who need not wait."""
    desk = Desk(minimum=1, max_waiting=0)
    assert desk.state(desk.ask()) is TicketState.GRANTED


def test_an_unknown_engine_is_refused() -> None:
    """An engine that the pool does not have is refused at the door."""
    desk = Desk()
    with pytest.raises(PoolRefused, match="this pool has no 'webkit'") as caught:
        desk.ask("webkit")
    assert caught.value.reason == "engine"


def test_an_owner_at_his_cap_lets_others_pass() -> None:
    """Who holds all he may waits, and those behind him do not."""
    desk = Desk(per_owner=1)
    desk.hold("anna")
    greedy = desk.ask(owner="anna", wait=5.0)
    modest = desk.ask(owner="bert")
    assert desk.state(greedy) is TicketState.WAITING
    assert desk.state(modest) is TicketState.GRANTED
    assert len(desk.of(Launch)) == 1
    desk.tick(5.0)
    assert desk.refusal(greedy).reason == "owner-cap"


def test_only_what_an_owner_may_hold_is_launched_for() -> None:
    """Five requests of an owner with a cap of one need one browser."""
    desk = Desk(per_owner=1, contexts_per_browser=1)
    desk.obedient = False
    for _ in range(5):
        desk.ask()
    assert desk.launching == ["browser-1"]


# Deadlines


def test_a_lease_beyond_its_deadline_is_revoked_once() -> None:
    """A holder that stays too long is told to go, once; the slot is his until he has gone."""
    desk = Desk(maximum=1, contexts_per_browser=1, max_lease=60.0)
    name = desk.hold()
    waiter = desk.ask(wait=500.0)
    assert desk.leases.next_due() == 160.0
    assert desk.tick(60.0) == [Revoke(name, "the lease was longer than 60 s may be")]
    assert desk.tick(60.0) == []
    assert desk.state(waiter) is TicketState.WAITING
    desk.leave(name)
    assert desk.state(waiter) is TicketState.GRANTED
    assert desk.leases.counters["ends_total"] == {"revoked": 1}


def test_all_can_be_told_to_go() -> None:
    """Every holder is told to go, and none of them twice."""
    desk = Desk()
    first, second = desk.hold(), desk.hold()
    assert desk.leases.revoke_all("time is up") == [
        Revoke(first, "time is up"),
        Revoke(second, "time is up"),
    ]
    assert desk.leases.revoke_all("time is up") == []


# Browsers that die


def test_a_crash_ends_its_leases_and_serves_the_waiters_elsewhere() -> None:
    """Holders are told why with the last output, and the place is filled again."""
    desk = Desk(maximum=1)
    first, second = desk.hold(), desk.hold()
    desk.leave(second, clean=False)
    waiter = desk.ask()
    actions = desk.do(desk.leases.crashed("browser-1", desk.now, "it died (SIGKILL)", "out of oil"))
    assert actions == [
        End("browser-1", kill=True, why="it died (SIGKILL)"),
        Revoke(first, "it died (SIGKILL)\nLast lines of the browser's output:\nout of oil"),
    ]
    assert desk.of(Launch)[1:] == [Launch("browser-2", "chromium", Reason.CRASH, 1)]
    assert desk.state(waiter) is TicketState.GRANTED
    assert desk.leases.on("browser-1") == []
    assert desk.leave(first) == []
    assert desk.leases.counters["ends_total"] == {"released": 1, "crashed": 1}


def test_a_grant_on_a_browser_that_died_is_void_and_keeps_its_place() -> None:
    """A waiter whose browser dies before it accepted waits on, before those behind it."""
    desk = Desk(maximum=1, contexts_per_browser=1)
    first, second = desk.ask(), desk.ask()
    desk.obedient = False
    desk.do(desk.leases.crashed("browser-1", desk.now, "it died"))
    assert desk.leases.accept(first, desk.now) is False
    desk.obedient = True
    desk.do([End("browser-1", kill=True, why="again")][:0])
    assert desk.state(first) is TicketState.GRANTED
    assert desk.state(second) is TicketState.WAITING
    assert desk.leases.accept(first, desk.now) is True


def test_a_browser_dies_once() -> None:
    """What is reported about a browser that is being ended changes nothing."""
    desk = Desk(minimum=1)
    desk.obedient = False
    desk.do(desk.leases.crashed("browser-1", desk.now, "it died"))
    assert desk.leases.crashed("browser-1", desk.now, "it died again") == []


def test_a_crash_of_a_lease_that_was_told_to_go_says_nothing_more() -> None:
    """A holder that was told to go is not told again when the browser dies."""
    desk = Desk(max_lease=5.0)
    name = desk.hold()
    desk.tick(5.0)
    actions = desk.do(desk.leases.crashed("browser-1", desk.now, "it died"))
    assert not any(isinstance(action, Revoke) for action in actions)
    assert desk.state(name) is None
    assert desk.leases.counters["ends_total"] == {"revoked": 1}


def fail(desk: Desk, times: int) -> None:
    """Let the next launches fail."""
    for _ in range(times):
        name = desk.launching.pop(0)
        desk.do(desk.leases.launch_failed(name, desk.now, "exit code 1", "no display"))
        desk.ending.remove(name)
        desk.do(desk.leases.gone(name, desk.now))


def test_launches_that_keep_failing_open_the_breaker_and_say_why() -> None:
    """After three strikes everybody who waits is told the cause, and nothing more is tried."""
    desk = Desk()
    desk.obedient = False
    name = desk.ask()
    fail(desk, 3)
    assert desk.launching == []
    assert desk.refusal(name).reason == "breaker"
    assert desk.refusal(name).retry_after == 30.0
    assert "Cause: exit code 1\nLast lines of the browser's output:\nno display" in str(
        desk.refusal(name)
    )
    assert desk.refusal(desk.ask()).reason == "breaker"


def test_a_trial_after_the_pause_closes_the_breaker() -> None:
    """Half-open, one browser is tried; what it serves proves it."""
    desk = Desk(minimum=1)
    desk.obedient = False
    desk.do(desk.leases.crashed("browser-1", desk.now, "it died"))
    desk.obedient = True
    desk.do([])
    desk = Desk(launches_at_once=2)
    desk.obedient = False
    desk.ask()
    fail(desk, 3)
    desk.tick(30.0)
    first, second, third = desk.ask(), desk.ask(), desk.ask()
    assert len(desk.launching) == 1
    desk.obedient = True
    desk.do([])
    assert [desk.state(n) for n in (first, second)] == [TicketState.GRANTED] * 2
    assert desk.state(third) is TicketState.WAITING
    desk.leases.accept(first, desk.now)
    desk.leave(first)
    assert desk.leases.breakers["chromium"].opened_at is None


def test_crashes_under_the_same_users_are_one_strike() -> None:
    """A client that kills every browser it gets does not shut everybody else out."""
    desk = Desk(minimum=1, maximum=1)
    for number in range(1, 5):
        desk.hold("vandal")
        desk.do(desk.leases.crashed(f"browser-{number}", desk.now, "it died"))
    assert desk.leases.breakers["chromium"].strikes == 1


def test_a_browser_that_lived_long_is_proven() -> None:
    """A browser that answered for half a minute and dies then is no strike."""
    desk = Desk(minimum=1)
    desk.now += 31.0
    desk.do(desk.leases.crashed("browser-1", desk.now, "it died"))
    assert desk.leases.breakers["chromium"].strikes == 0
    desk.tick(31.0)
    assert [b.proven for p in desk.leases.places for b in p.browsers()] == [True]


def test_a_crash_loop_without_clients_ends_in_the_breaker() -> None:
    """Browsers that die by themselves are replaced three times, and no more."""
    desk = Desk(minimum=1)
    for number in (1, 2, 3):
        desk.do(desk.leases.crashed(f"browser-{number}", desk.now, "it died"))
    assert desk.browsers() == {}
    assert desk.tick(29.0) == []
    assert desk.tick(1.0) == [Launch("browser-4", "chromium", Reason.START, 1)]


def test_a_suspect_gets_nobody_new_until_it_is_cleared() -> None:
    """A quarantined browser keeps its leases, and new clients are served elsewhere."""
    desk = Desk(minimum=1)
    desk.hold()
    desk.do(desk.leases.suspected("browser-1", desk.now, suspect=True))
    assert desk.leases.slots()["unavailable"] == 1
    assert desk.browsers() == {"browser-1": "ready", "browser-2": "ready"}
    name = desk.hold()
    ticket = desk.leases.ticket(name)
    assert ticket
    assert ticket.browser == "browser-2"
    desk.do(desk.leases.suspected("browser-1", desk.now, suspect=False))
    assert desk.leases.slots()["unavailable"] == 0


# Browsers that are worn


def test_a_worn_browser_is_replaced_before_it_goes() -> None:
    """The successor serves before the old one drains, and the old one goes when it is empty."""
    desk = Desk(maximum=1, recycle_after=1)
    stays = desk.hold()
    desk.leave(desk.hold())
    assert desk.browsers() == {"browser-2": "ready", "browser-1": "draining"}
    assert desk.leases.counters["retirements_total"] == {"tests": 1}
    assert sum(desk.leases.slots().values()) == 2
    # The lease on the old one keeps its slot: the place never serves more than one browser does.
    second = desk.hold()
    assert desk.state(desk.ask()) is TicketState.WAITING
    assert desk.leave(stays)[0] == Clean(stays, "browser-1")
    assert End("browser-1", kill=False, why="replaced") in desk.log
    assert desk.state(second) is TicketState.HELD


def test_one_replacement_at_a_time() -> None:
    """Of two worn browsers the second waits until the first has gone."""
    desk = Desk(minimum=2)
    desk.obedient = False
    desk.do(desk.leases.restart(desk.now))
    assert desk.launching == ["browser-3"]
    desk.launching.clear()
    desk.do(desk.leases.launched("browser-3", desk.now))
    assert desk.launching == []
    desk.do(desk.leases.gone("browser-1", desk.now))
    assert desk.launching == ["browser-4"]


def test_restart_replaces_every_browser() -> None:
    """A new generation takes over, browser by browser."""
    desk = Desk(minimum=2)
    desk.do(desk.leases.restart(desk.now))
    assert desk.leases.generation == 2
    assert desk.browsers() == {"browser-3": "ready", "browser-4": "ready"}
    assert [launch.reason for launch in desk.of(Launch)[2:]] == [Reason.RESTART] * 2


def test_a_worn_browser_stays_when_its_successor_fails() -> None:
    """Worn is better than none: it goes on serving."""
    desk = Desk(minimum=1, max_browser_memory=500)
    desk.obedient = False
    desk.leases.measured("browser-1", 600)
    desk.tick()
    desk.do(desk.leases.launch_failed(desk.launching.pop(), desk.now, "exit code 1"))
    assert desk.browsers() == {"browser-1": "ready", "browser-2": "closing"}
    assert desk.state(desk.ask()) is TicketState.GRANTED


def test_a_worn_browser_stays_while_the_breaker_is_open() -> None:
    """Nothing is launched to replace it while launches keep failing."""
    desk = Desk(minimum=1)
    desk.leases.breakers["chromium"].opened_at = desk.now
    assert desk.leases.restart(desk.now) == []
    assert desk.browsers() == {"browser-1": "ready"}


def test_a_successor_takes_over_from_one_that_crashed_meanwhile() -> None:
    """The old one dies while its successor starts: the place is not lost."""
    desk = Desk(minimum=1, maximum=1)
    desk.obedient = False
    desk.do(desk.leases.restart(desk.now))
    desk.do(desk.leases.crashed("browser-1", desk.now, "it died"))
    desk.do(desk.leases.launched("browser-2", desk.now))
    assert desk.browsers() == {"browser-2": "ready", "browser-1": "closing"}
    desk.do(desk.leases.gone("browser-1", desk.now))
    assert desk.browsers()["browser-2"] == "ready"


def test_a_successor_still_starting_inherits_the_place() -> None:
    """The old one is gone before its successor answers."""
    desk = Desk(minimum=1, maximum=1)
    desk.obedient = False
    desk.do(desk.leases.restart(desk.now))
    desk.do(desk.leases.crashed("browser-1", desk.now, "it died"))
    desk.do(desk.leases.gone("browser-1", desk.now))
    desk.do(desk.leases.launched("browser-2", desk.now))
    assert desk.browsers() == {"browser-2": "ready"}


def test_a_successor_that_crashes_while_the_old_one_drains_is_replaced_there() -> None:
    """Leases drain on the old browser while the place gets a third one."""
    desk = Desk(minimum=1, maximum=1)
    stays = desk.hold()
    desk.do(desk.leases.restart(desk.now))
    desk.do(desk.leases.crashed("browser-2", desk.now, "it died"))
    assert desk.browsers() == {"browser-3": "ready", "browser-1": "draining"}
    assert desk.state(stays) is TicketState.HELD
    desk.do(desk.leases.crashed("browser-1", desk.now, "it died too"))
    assert desk.browsers() == {"browser-3": "ready"}


def test_suspicion_of_a_draining_browser_changes_nothing() -> None:
    """Only the browser that serves a place can be kept from serving."""
    desk = Desk(minimum=1, maximum=1)
    desk.hold()
    desk.do(desk.leases.restart(desk.now))
    desk.do(desk.leases.suspected("browser-1", desk.now, suspect=True))
    assert desk.leases.slots()["free"] == 1


# Places that are too many


def test_a_smaller_pool_gives_up_the_emptiest_places() -> None:
    """Those with the fewest leases go, at once or when their last lease ends."""
    desk = Desk(minimum=0, maximum=3, contexts_per_browser=1)
    desk.hold(), desk.hold()
    desk.leave(desk.hold())
    assert len(desk.browsers()) == 3
    desk.do(desk.leases.resize(1, desk.now))
    assert sorted(desk.browsers().values()) == ["draining", "ready"]
    assert desk.leases.maximum == 1
    assert desk.leases.counters["retirements_total"] == {"resize": 2}


def test_a_browser_that_starts_in_a_place_given_up_is_ended() -> None:
    """It is kept until it answers, and ended in order then."""
    desk = Desk(minimum=2)
    desk.obedient = False
    desk.do(desk.leases.resize(3, desk.now))
    desk.ask(), desk.ask(), desk.ask(), desk.ask(), desk.ask()
    assert desk.launching == ["browser-3"]
    desk.do(desk.leases.resize(1, desk.now))
    desk.do(desk.leases.launched("browser-3", desk.now))
    assert desk.browsers()["browser-3"] == "closing"


def test_an_idle_browser_makes_room_for_another_engine() -> None:
    """With every place taken by one engine, an idle one goes for those who wait for another."""
    desk = Desk(engines=("chromium", "firefox"), maximum=1)
    desk.leave(desk.hold())
    name = desk.ask("firefox")
    assert desk.state(name) is TicketState.GRANTED
    assert End("browser-1", kill=False, why="room") in desk.log


def test_a_busy_browser_makes_room_when_there_is_no_other_way() -> None:
    """An engine without any browser gets the place of the least loaded one, when that is empty."""
    desk = Desk(engines=("chromium", "firefox"), maximum=1)
    held = desk.hold()
    name, later = desk.ask("firefox"), desk.ask("firefox")
    assert desk.browsers() == {"browser-1": "draining"}
    desk.leave(held)
    assert [desk.state(n) for n in (name, later)] == [TicketState.GRANTED] * 2


def test_an_engine_that_has_a_browser_drives_no_busy_one_out() -> None:
    """Who waits for a full engine waits, while others use theirs."""
    desk = Desk(engines=("chromium", "firefox"), contexts_per_browser=1)
    desk.hold(), desk.hold(engine="firefox")
    assert desk.state(desk.ask("firefox")) is TicketState.WAITING
    assert desk.browsers() == {"browser-1": "ready", "browser-2": "ready"}


# Memory


def test_short_memory_pauses_everything_new_and_sheds_one_idle_browser() -> None:
    """Nothing is granted or launched, and idle browsers go one at a time, never the last."""
    desk = Desk(minimum=2, maximum=3)
    desk.obedient = False
    desk.do(desk.leases.pressed("browsers use all of it", desk.now))
    assert desk.ending == ["browser-1"]
    name = desk.ask(wait=5.0)
    desk.tick(5.0)
    assert desk.refusal(name).reason == "memory"
    assert "browsers use all of it" in str(desk.refusal(name))
    desk.obedient = True
    desk.do([])
    assert desk.browsers() == {"browser-2": "ready"}
    desk.do(desk.leases.pressed("", desk.now))
    assert len(desk.browsers()) == 2


def test_short_memory_leaves_browsers_in_use_alone() -> None:
    """A browser with a lease is not shed."""
    desk = Desk(minimum=2)
    desk.hold(), desk.hold()
    desk.do(desk.leases.pressed("short", desk.now))
    assert desk.ending == []
    assert len(desk.browsers()) == 2


# The end


def test_draining_refuses_who_waits_and_who_comes() -> None:
    """Nobody new is served; who holds goes on."""
    desk = Desk(maximum=1, contexts_per_browser=1)
    held = desk.hold()
    waiter = desk.ask()
    desk.do(desk.leases.drain(desk.now))
    assert desk.refusal(waiter).reason == "draining"
    with pytest.raises(PoolRefused, match="the pool is draining"):
        desk.ask()
    assert desk.state(held) is TicketState.HELD


def test_closing_ends_everything_once() -> None:
    """Waiters, grants and leases end, and every browser goes."""
    desk = Desk(maximum=1, contexts_per_browser=3, max_lease=5.0)
    late = desk.hold()
    desk.tick(5.0)
    held, granted = desk.hold(), desk.ask()
    waiter = desk.ask()
    actions = desk.do(desk.leases.close(desk.now))
    assert Revoke(held, "the pool was closed") in actions
    assert late not in [action.ticket for action in actions if isinstance(action, Revoke)]
    assert desk.refusal(waiter).reason == "closed"
    with pytest.raises(PoolRefused, match="the pool is closed"):
        desk.leases.accept(granted, desk.now)
    with pytest.raises(PoolRefused, match="the pool is closed"):
        desk.ask()
    assert desk.browsers() == {}
    assert desk.leave(held) == []


def test_closing_counts_a_place_that_was_given_up_before_once() -> None:
    """A place that empties already is not given up a second time."""
    desk = Desk(maximum=2)
    desk.hold(), desk.hold(), desk.hold()
    desk.do(desk.leases.resize(1, desk.now))
    desk.do(desk.leases.close(desk.now))
    assert desk.leases.counters["retirements_total"] == {"resize": 1, "closed": 1}


def test_closing_ends_leases_that_are_being_cleaned() -> None:
    """What waits for its contexts to go is not waited for."""
    desk = Desk()
    name = desk.hold()
    desk.leave(name, clean=False)
    desk.do(desk.leases.close(desk.now))
    assert desk.leases.tickets(*TicketState) == []
    assert desk.browsers() == {}


# Figures


def test_every_slot_is_counted_once() -> None:
    """The states of all slots add up to the size of the pool."""
    desk = Desk(maximum=4, contexts_per_browser=3)
    desk.hold()
    desk.ask()
    desk.leave(desk.hold(), clean=False)
    desk.obedient = False
    desk.ask()
    assert desk.leases.slots() == {
        "free": 0,
        "granted": 1,
        "leased": 1,
        "cleaning": 1,
        "starting": 3,
        "unavailable": 0,
        "unused": 6,
    }


def test_wear_limits_of_browsers_launched_together_differ() -> None:
    """Browsers of one moment do not all wear out at another."""
    desk = Desk(minimum=4, maximum=4)
    jitters = [b.jitter for p in desk.leases.places for b in p.browsers()]
    assert len({round(jitter, 1) for jitter in jitters}) == 4


def test_an_unknown_browser_is_a_bug() -> None:
    """The books say so when they are told of a browser that they do not have."""
    with pytest.raises(KeyError, match="bug: no browser browser-9 in the books"):
        Desk().leases.measured("browser-9", 1)


def test_who_left_is_told_nothing() -> None:
    """The refusal of a client that has gone is for the log alone."""
    assert str(refusals.left()) == "the client left while it waited"


def test_ready_browsers_are_ready() -> None:
    """A place of a pool that serves has a browser that is READY."""
    desk = Desk(minimum=1)
    browser = desk.leases.places[0].ready()
    assert browser
    assert browser.state is BrowserState.READY
