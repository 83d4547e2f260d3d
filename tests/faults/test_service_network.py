"""A client on a machine of its own, and the cable between: a network namespace and a veth pair.

With ``NETWORK_SILENCE=shipped`` the service has the patience that it has in life, a minute.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from pytest_sentinel.pool import splice
from tests import loops
from tests.faults.poolkit import Place, client, place, until

pytestmark = pytest.mark.browser

AS_SHIPPED = os.environ.get("NETWORK_SILENCE") == "shipped"
QUICK = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 3_000}
WITHIN = 80.0 if AS_SHIPPED else 6.0


def ip(*words: str) -> None:
    """Run iproute2's command."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


@dataclass(frozen=True)
class Cable:
    """A way from this machine to a namespace that is like another one."""

    namespace: str
    link: str
    here: str

    def pull(self) -> None:
        """Let nothing through any more, in either direction, and tell nobody."""
        ip("link", "set", self.link, "down")


@pytest.fixture
def cable() -> Iterator[Cable]:
    """A cable that is plugged in; afterwards it is gone with all that was at its other end."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces take root and iproute2")
    mark = os.urandom(3).hex()
    there, inner, outer = f"sentinel-{mark}", f"si{mark}", f"so{mark}"
    # 198.18.0.0/15 is for tests between networks, and nobody's address.
    number = int(mark, 16) % (1 << 15)
    net = f"198.19.{number >> 7 & 255}.{(number & 63) * 4}"
    here, away = (net.rpartition(".")[0] + f".{int(net.rpartition('.')[2]) + n}" for n in (1, 2))
    try:
        ip("netns", "add", there)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this system lends no network namespace: {error.stderr.decode().strip()}")
    try:
        ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", there)
        ip("address", "add", f"{here}/30", "dev", outer)
        ip("link", "set", outer, "up")
        ip("-n", there, "address", "add", f"{away}/30", "dev", inner)
        ip("-n", there, "link", "set", inner, "up")
        yield Cable(there, outer, here)
    finally:
        # A namespace takes its time to let go of what is in it; a link goes with either end.
        subprocess.run(["ip", "link", "delete", outer], check=False, capture_output=True)
        ip("netns", "delete", there)


def test_a_client_whose_network_is_gone_loses_its_lease(
    cable: Cable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No FIN and no reset comes: the service asks, hears nothing, and gives the slot to others."""
    if not AS_SHIPPED:
        monkeypatch.setattr(splice, "_KEEPALIVE", QUICK)

    async def run() -> None:
        async with place(cable.here, contexts_per_browser=1) as here:
            async with client("ip", "netns", "exec", cable.namespace) as far:
                await far.do("connect", f"{here.ws}/chromium?owner=far&wait=30s")
                await far.do("open", 2)
                cable.pull()
                assert not here.named("lease.ended")
                async with asyncio.TaskGroup() as group:
                    waiting = group.create_task(wait_for_lease(here))
                    took = await until(lambda: here.named("lease.ended"), WITHIN, "end of it")
                    assert took > 1.0
                assert waiting.result() == "browser-1"
            assert await here.contexts() == 0
            assert not here.named("browser.crashed")

    loops.run(run())


async def wait_for_lease(here: Place) -> str:
    """Lease and give back; return the browser."""
    async with here.pool.lease("chromium", "near", 3 * WITHIN) as lease:
        return lease.browser
