"""The live port counts an answer as the last one when it has the last figures, and was sent."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from pytest_sentinel.addresses import Address
from pytest_sentinel.telemetry.liveport import LivePort
from tests.telemetry.servers import fetch


class Gate(Collector):
    """A figure that is read when the test lets it."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()

    def collect(self) -> Iterator[Metric]:
        self.begun.set()
        assert self.go.wait(60)
        yield GaugeMetricFamily("figure", "Of a test", 1)


class Figure(Collector):
    """A figure."""

    def __init__(self, value: float) -> None:
        self._value = value

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("figure", "Of a test", self._value)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def port(gate: Gate) -> Iterator[LivePort]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(gate)
    live = LivePort(Address("127.0.0.1", 0), registry)
    yield live
    gate.go.set()
    live.close()


def test_an_answer_that_was_begun_too_early_is_not_the_last(port: LivePort, gate: Gate) -> None:
    """Figures that were read before the end may lack it, however late they arrive."""
    url = f"http://{port.address}/metrics"
    early = threading.Thread(target=fetch, args=(url, 60))
    early.start()
    assert gate.begun.wait(60)
    port.complete()
    gate.go.set()
    early.join()

    assert not port.linger(0)
    assert "figure 1.0" in fetch(url)
    assert port.linger(60)


def test_what_shows_nothing_is_not_the_last(port: LivePort, gate: Gate) -> None:
    """A browser that asks for an icon has not seen the figures."""
    gate.go.set()
    port.complete()

    fetch(f"http://{port.address}/favicon.ico")

    assert not port.linger(0)


def test_a_port_of_the_newer_internet_protocol(gate: Gate) -> None:
    """An address may be of IPv6, and is written so that a browser understands it."""
    gate.go.set()
    registry = CollectorRegistry(auto_describe=False)
    registry.register(gate)
    try:
        live = LivePort(Address("::1", 0), registry)
    except OSError:
        pytest.skip("no IPv6 here")
    try:
        assert fetch(f"http://{live.address}/metrics").startswith("# HELP")
    finally:
        live.close()


def scrape(url: str, agent: str = "Prometheus/3.0") -> str:
    """Return what a scraper gets."""
    headers = {"X-Prometheus-Scrape-Timeout-Seconds": "1", "User-Agent": agent}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as told:
        text: str = told.read().decode()
    return text


def test_each_scraper_sees_the_beginning_first() -> None:
    """A person sees the figures at once; the first answer to a scraper is never the last one."""
    beginning, figures = (CollectorRegistry(auto_describe=False) for _ in range(2))
    beginning.register(Figure(0))
    figures.register(Figure(7))
    live = LivePort(Address("127.0.0.1", 0), figures, beginning)
    url = f"http://{live.address}/metrics"
    try:
        assert "figure 7.0" in fetch(url)
        assert "figure 0.0" in scrape(url)
        assert "figure 7.0" in scrape(url)
        live.complete()
        assert "figure 0.0" in scrape(url, "vmagent")
        assert not live.linger(0)
        assert "figure 7.0" in scrape(url, "vmagent")
        assert live.linger(60)
    finally:
        live.close()
