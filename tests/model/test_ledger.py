"""The ledger under every order of events that a pool can see, with a model that keeps count too.

The machine plays the shell: it carries out what the ledger asks for, in any order and at any
time, and reports back. What must hold after every step stands in the invariants.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from pytest_sentinel.pool.breaker import BreakerState
from pytest_sentinel.pool.ledger import (
    Action,
    Defer,
    Dispose,
    HandOver,
    Launch,
    Ledger,
    Reason,
    Refuse,
    Wear,
)
from pytest_sentinel.pool.states import BrowserState

WEAR = Wear(tests=3, age=200.0, memory=500)
LIFE = list(BrowserState)
KEYS = st.sampled_from(["chromium headless", "firefox headless"])
LIVE = (BrowserState.READY, BrowserState.CLOSING, BrowserState.DEAD)


@dataclass
class World:
    """What really is there, as far as the shell of a pool can know."""

    key: dict[int, str] = field(default_factory=dict)
    launching: dict[int, str] = field(default_factory=dict)
    serving: dict[int, str] = field(default_factory=dict)
    ending: set[str] = field(default_factory=set)
    given_up: set[int] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    trials: dict[str, str] = field(default_factory=dict)
    launched: int = 0
    failed: int = 0
    crashed: int = 0
    deferred: int = 0


class Pool(RuleBasedStateMachine):
    """One ledger, its shell and its users."""

    @initialize(
        working=st.integers(0, 2), broken=st.integers(0, 3), since=st.sampled_from([0.0, 31.0])
    )
    def begin(self, working: int, broken: int, since: float) -> None:
        """Start with some browsers and some failed launches: three of them open the breaker."""
        self.ledger = Ledger(WEAR)
        self.world = World()
        self.now = 1000.0
        self.seen: dict[str, BrowserState] = {}
        for number in range(working + broken):
            self.ask("chromium headless", jitter=0.5)
            if number < working:
                self.succeed(number + 1)
            else:
                self.fail(number + 1)
        self.now += since

    # What users do

    @precondition(lambda self: len(self.world.key) < 7)
    @rule(key=KEYS, jitter=st.floats(0, 1))
    def request(self, key: str, jitter: float) -> None:
        """A user asks for a browser."""
        self.ask(key, jitter)

    def ask(self, key: str, jitter: float) -> None:
        """Open the next slot."""
        slot = len(self.world.key) + 1
        self.world.key[slot] = key
        before = self.ledger.breaker(key).state(self.now)
        self.carry_out(self.ledger.request(key, self.now, jitter), slot, before)

    @precondition(lambda self: self.world.key)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        """A user closes his browser, perhaps twice."""
        slot = data.draw(st.sampled_from(sorted(self.world.key)))
        self.world.given_up.add(slot)
        for action in self.ledger.close_asked(slot):
            assert isinstance(action, Dispose)
            assert action.browser == self.world.serving.pop(slot)
            self.end(action.browser)

    @precondition(lambda self: self.world.serving)
    @rule(data=st.data(), passed=st.booleans(), memory=st.integers(0, 600))
    def serve(self, data: st.DataObject, passed: bool, memory: int) -> None:
        """A test runs on a browser."""
        slot = data.draw(st.sampled_from(sorted(self.world.serving)))
        self.ledger.measured(slot, memory)
        self.ledger.served(slot, passed)
        if passed:
            self.prove(self.world.serving[slot])

    # What the shell reports

    @precondition(lambda self: self.world.launching)
    @rule(data=st.data())
    def launch_succeeds(self, data: st.DataObject) -> None:
        """A browser answers for the first time."""
        self.succeed(data.draw(st.sampled_from(sorted(self.world.launching))))

    def succeed(self, slot: int) -> None:
        """Let the launch of a slot succeed."""
        name = self.world.launching.pop(slot)
        self.world.launched += 1
        before = self.world.serving.get(slot)
        actions = self.ledger.launched(slot, self.now)
        self.world.serving[slot] = name
        for action in actions:
            if isinstance(action, HandOver):
                assert action.new == name
                assert self.ledger.slot(slot).browser is not None
                continue
            assert isinstance(action, Dispose)
            assert not action.kill
            if slot in self.world.given_up:
                assert action.browser == self.world.serving.pop(slot)
            else:
                # Replace before you retire: the successor is READY already.
                assert action.browser == before
                assert self.state_of(name) is BrowserState.READY
            self.end(action.browser)

    @precondition(lambda self: self.world.launching)
    @rule(data=st.data())
    def launch_fails(self, data: st.DataObject) -> None:
        """A browser does not start."""
        self.fail(data.draw(st.sampled_from(sorted(self.world.launching))))

    def fail(self, slot: int) -> None:
        """Let the launch of a slot fail."""
        name = self.world.launching.pop(slot)
        self.world.failed += 1
        serving = self.world.serving.get(slot)
        actions = self.ledger.launch_failed(slot, self.now, "it failed", "its log")
        assert actions == [Dispose(name, kill=True)]
        assert self.world.serving.get(slot) == serving
        self.end(name)

    @precondition(lambda self: self.world.serving)
    @rule(data=st.data(), under=st.sampled_from(["", "test_a", "test_b"]))
    def crash(self, data: st.DataObject, under: str) -> None:
        """A browser dies by itself; hearing of it again changes nothing."""
        slot = data.draw(st.sampled_from(sorted(self.world.serving)))
        name = self.world.serving.pop(slot)
        self.world.crashed += 1
        actions = self.ledger.crashed(slot, self.now, "it died", under=under)
        assert actions == [Dispose(name, kill=True)]
        assert self.ledger.crashed(slot, self.now, "it died") == []
        self.end(name)

    @precondition(lambda self: self.world.ending)
    @rule(data=st.data())
    def processes_end(self, data: st.DataObject) -> None:
        """The last process of a browser is gone."""
        name = data.draw(st.sampled_from(sorted(self.world.ending)))
        self.world.ending.discard(name)
        self.ledger.gone(name)
        self.ledger.gone(name)

    @rule(seconds=st.sampled_from([0.1, 5.0, 29.0, 31.0, 301.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.now += seconds

    # What is due

    @precondition(lambda self: self.world.key)
    @rule(data=st.data(), held=st.booleans(), fresh=st.booleans(), jitter=st.floats(0, 1))
    def boundary(self, data: st.DataObject, held: bool, fresh: bool, jitter: float) -> None:
        """A test is about to begin."""
        slot = data.draw(st.sampled_from(sorted(self.world.key)))
        before = self.ledger.breaker(self.world.key[slot]).state(self.now)
        serving = self.world.serving.get(slot)
        actions = self.ledger.due(slot, self.now, held=held, jitter=jitter, fresh=fresh)
        assert len(actions) <= 1
        if slot in self.world.given_up or slot in self.world.launching:
            assert actions == []
        if serving is None and slot not in self.world.given_up | self.world.launching.keys():
            assert isinstance(actions[0], Launch | Refuse)
        for action in actions:
            if isinstance(action, Launch) and serving is not None:
                assert not held
                assert action.reason not in (Reason.CRASH, Reason.START)
            if isinstance(action, Refuse):
                assert serving is None
            # A browser that is old enough is proven here, which may close the breaker.
            after = self.ledger.breaker(self.world.key[slot]).state(self.now)
            if after is BreakerState.CLOSED:
                before = after
                self.world.trials.pop(self.world.key[slot], None)
            self.carry_out(action, slot, before)

    def carry_out(self, action: Action, slot: int, breaker: BreakerState) -> None:
        """Do what the ledger asks for, with the breaker as it was just before."""
        key = self.world.key[slot]
        if isinstance(action, Launch):
            assert action.slot == slot
            assert action.browser not in self.world.names
            assert breaker is not BreakerState.OPEN
            if breaker is BreakerState.HALF_OPEN:
                assert key not in self.world.trials
                self.world.trials[key] = action.browser
            self.world.names.add(action.browser)
            self.world.launching[slot] = action.browser
        elif isinstance(action, Defer):
            self.world.deferred += 1
            assert action.browser == self.world.serving[slot]
        else:
            assert isinstance(action, Refuse)
            assert breaker is not BreakerState.CLOSED
            assert action.error.failures >= 3

    def end(self, name: str) -> None:
        """Begin to end a browser; a trial that ends is over."""
        self.world.ending.add(name)
        self.prove(name)

    def prove(self, name: str) -> None:
        """A browser that served, or ended, is no trial any more."""
        self.world.trials = {k: n for k, n in self.world.trials.items() if n != name}

    def state_of(self, name: str) -> BrowserState:
        """Return the state of a browser that is not dead."""
        for slot in self.world.key:
            for browser in self.ledger.slot(slot).browsers():
                if browser.name == name:
                    return browser.state
        return BrowserState.DEAD

    # What must hold

    @invariant()
    def a_slot_is_served_by_one_browser(self) -> None:
        """A slot has one READY browser at most, at most one successor, and no strangers."""
        for number in self.world.key:
            slot = self.ledger.slot(number)
            ready = [b for b in slot.browsers() if b.state is BrowserState.READY]
            assert [b.name for b in ready] == [
                name for held, name in self.world.serving.items() if held == number
            ]
            assert slot.browser is None or slot.browser.state in LIVE
            successor = slot.successor.name if slot.successor is not None else None
            assert successor == self.world.launching.get(number)
            assert slot.successor is None or slot.successor.state is BrowserState.LAUNCHING
            assert {b.state for b in slot.leaving} <= {BrowserState.CLOSING}

    @invariant()
    def the_books_agree_with_the_world(self) -> None:
        """Statistics are what the world counted, state by state."""
        statistics = self.ledger.statistics()
        expected = {
            "launching": len(self.world.launching),
            "ready": len(self.world.serving),
            "closing": len(self.world.ending),
        }
        assert statistics.browsers == {name: n for name, n in expected.items() if n}
        assert sum(statistics.launches.values()) == self.world.launched
        assert statistics.launch_failures == self.world.failed
        assert statistics.crashes == self.world.crashed
        assert statistics.deferred == self.world.deferred

    @invariant()
    def life_runs_one_way(self) -> None:
        """No browser returns to an earlier state, and DEAD is final."""
        for name in self.world.names:
            state = self.state_of(name)
            before = self.seen.get(name, BrowserState.LAUNCHING)
            assert LIFE.index(state) >= LIFE.index(before)
            self.seen[name] = state


Pool.TestCase.settings = settings(
    max_examples=200,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestLedger(Pool.TestCase):  # type: ignore[misc, name-defined]
    """Hypothesis runs the machine as a test case."""
