"""Many short leases from many clients at once, and how long each waited for its own.

python -m loadtests.leases ws://127.0.0.1:9323/chromium --clients 16 --leases 200
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from dataclasses import dataclass, field

from playwright.async_api import Error, Playwright, async_playwright

PAGE = "data:text/html,<title>lease</title><button>push</button>"


@dataclass
class Load:
    """What came of it: seconds from asking to connected, and the failures."""

    waits: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """Return it in one line."""
        if len(self.waits) < 2:
            return f"{len(self.waits)} leases, {len(self.failures)} failures"
        cuts = statistics.quantiles(self.waits, n=100)
        return (
            f"{len(self.waits)} leases, {len(self.failures)} failures, acquire"
            f" p50 {cuts[49] * 1000:.0f} ms, p95 {cuts[94] * 1000:.0f} ms,"
            f" p99 {cuts[98] * 1000:.0f} ms"
        )


async def one_lease(playwright: Playwright, address: str, load: Load) -> None:
    """Connect, do what a short test does, and go."""
    began = time.monotonic()
    try:
        browser = await playwright.chromium.connect(address)
        load.waits.append(time.monotonic() - began)
        try:
            page = await (await browser.new_context()).new_page()
            await page.goto(PAGE)
            await page.get_by_role("button").click()
            assert await page.title() == "lease"
        finally:
            await browser.close()
    except Error as error:
        load.failures.append(error.message)


async def run(address: str, clients: int, leases: int, load: Load) -> None:
    """Have ``clients`` clients take ``leases`` leases between them, one after the other each."""
    left = iter(range(leases))

    async def client(playwright: Playwright, number: int) -> None:
        for _ in left:
            await one_lease(playwright, f"{address}?owner=client-{number}&wait=120s", load)

    async with async_playwright() as playwright:
        await asyncio.gather(*(client(playwright, number) for number in range(clients)))


def main() -> None:
    """Read the command line and print what came of it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("address", help="where leases are, such as ws://127.0.0.1:9323/chromium")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--leases", type=int, default=200)
    given = parser.parse_args()
    load = Load()
    asyncio.run(run(given.address, given.clients, given.leases, load))
    print(load.summary())
    for failure in load.failures:
        print(failure)
    raise SystemExit(1 if load.failures else 0)


if __name__ == "__main__":
    main()
