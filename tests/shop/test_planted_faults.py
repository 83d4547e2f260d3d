"""Each planted fault is there, is found by what looks for it, and nothing is found without it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import APIRequestContext, Page, Playwright, TimeoutError

from pytest_sentinel import check_leaks
from pytest_sentinel.leaks.growth import Trend, judge_count
from tests.e2e.pages import KitchenPage
from tests.larder.faults import KEPT_BYTES
from tests.larder.process import Larder, LarderDidNotStart, running_larder

SEED = 7


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Larder]:
    """A larder with one fault of each kind."""
    faults = "leak:kitchen,leak:server,slow:search:300ms,error:recipes:0.3,hang:register"
    environment = {"LARDER_FAULTS": faults, "LARDER_FAULT_SEED": str(SEED)}
    with running_larder(tmp_path_factory.mktemp("faulty"), environment) as larder:
        yield larder


@pytest.fixture(scope="module")
def client(playwright: Playwright) -> Iterator[APIRequestContext]:
    """Somebody who asks without a browser."""
    context = playwright.request.new_context()
    yield context
    context.dispose()


def test_a_fault_that_nobody_knows_stops_the_start(
    start_larder: Callable[..., Larder],
) -> None:
    """A slip of the pen must not look like a shop that is well."""
    with pytest.raises(LarderDidNotStart, match=r"LARDER_FAULTS='leak:cellar' is no good: write "):
        start_larder(LARDER_FAULTS="leak:cellar")


def test_a_slow_route_is_slow(client: APIRequestContext, faulty: Larder) -> None:
    """The search takes as long as was asked for, the list of the same address does not."""

    def fastest(path: str) -> float:
        times = []
        for _ in range(3):
            began = time.perf_counter()
            assert client.get(f"{faulty.url}{path}").status == 200
            times.append(time.perf_counter() - began)
        return min(times)

    assert fastest("/meals?q=soup") >= 0.3
    assert fastest("/meals") < 0.3


def test_which_requests_fail_is_decided_by_the_seed(
    client: APIRequestContext, faulty: Larder
) -> None:
    """The same seed fails the same requests, so that a run can be had again."""
    chance = random.Random(f"{SEED}:error:recipes:0.3")
    expected = [500 if chance.random() < 0.3 else 200 for _ in range(100)]

    seen = [client.get(f"{faulty.url}/api/recipes").status for _ in range(30)]

    # Other tests may have asked before.
    assert any(expected[start:][: len(seen)] == seen for start in range(70))
    assert set(seen) == {200, 500}
    assert "PlantedError: error:recipes:0.3" in faulty.log.read_text()


def test_a_hanging_route_never_answers(client: APIRequestContext, faulty: Larder) -> None:
    """Who waits waits until he gives up; the rest of the shop goes on."""
    with pytest.raises(TimeoutError):
        client.post(f"{faulty.url}/register", timeout=300)

    assert client.get(f"{faulty.url}/health").status == 200


def grows(client: APIRequestContext, larder: Larder) -> Trend:
    """Judge the memory that /health tells, as a page's counters are judged."""
    points = []
    for number in range(5):
        for _ in range(100 if number else 20):
            client.get(f"{larder.url}/static/larder.svg")
        held = client.get(f"{larder.url}/health").json()["memory"]["resident_bytes"]
        points.append((number * 101, held // (KEPT_BYTES // 2)))
    # The first rounds fill pools and caches.
    return judge_count("resident", points[1:]).trend


def test_a_server_that_keeps_memory_is_seen_by_its_health(
    client: APIRequestContext, faulty: Larder, larder: Larder
) -> None:
    """What it tells grows with each request, and does not where nothing is planted."""
    assert grows(client, faulty) is Trend.GROWING
    assert grows(client, larder) is not Trend.GROWING


def test_a_kitchen_that_leaks_is_convicted_with_its_owner(page: Page, faulty: Larder) -> None:
    """The verdict names the list that keeps closed panels; tests/demo sees a kitchen without it."""
    kitchen = KitchenPage(page)
    # The fault of the recipes may hit the first tries.
    for _ in range(5):
        page.goto(f"{faulty.url}/kitchen")
        kitchen.state.filter(has_not_text="Fetching").wait_for()
        if kitchen.rows.count():
            break

    def open_and_close() -> None:
        kitchen.open_panel("Fish Pie")
        kitchen.close_panel("Fish Pie")

    report = check_leaks(page, open_and_close)

    assert report.verdict == "LEAK"
    assert report.leaks[0].owner == "window.kitchen.history"
