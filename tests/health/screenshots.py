"""Pictures of the page and of the emulator's, for whoever changes them: `make screenshots` writes build/screenshots."""

from __future__ import annotations

import asyncio
import base64
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
from msgspec.structs import replace

from bridge.emulator.server import Emulator
from bridge.mongooseim.collect import not_running
from bridge.state.receipts import Processed
from erlang_stubs.cluster import StubCluster
from tests.delivery.support import HOUR
from tests.health.support import Place, facts_of, grown
from tests.support.browser import shown_at, started, wait_until

if TYPE_CHECKING:
    from selenium.webdriver.chrome.webdriver import WebDriver

    from bridge.mongooseim.facts import ClusterFacts

DIRECTORY: Final = Path("build/screenshots")
LOOKS: Final = [(width, scheme) for width in (1280, 360) for scheme in ("light", "dark")]


def picture(browser: WebDriver, address: str, name: str, *, then: str = "") -> None:
    """The whole page at each width and in each scheme, after a script."""
    for width, scheme in LOOKS:
        with shown_at(browser, width, scheme):
            browser.get(address)
            wait_until(lambda: browser.execute_script(LIVE), "the page is live")
            if then:
                browser.execute_async_script(then)
            whole = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True})
            file = DIRECTORY / f"{name}-{width}-{scheme}.png"
            file.write_bytes(base64.b64decode(whole["data"]))
            height = browser.execute_script("return document.documentElement.scrollHeight")
            print(f"{file}  {height} px high", flush=True)


LIVE: Final = "return document.getElementById('state').innerText === 'live'"
PREVIEW: Final = """
    const done = arguments[0];
    document.getElementById("ask").click();
    setInterval(() => document.getElementById("changes").hidden || done(), 50);
"""
UNFOLD: Final = "document.querySelectorAll('details').forEach(each => each.open = true); setTimeout(arguments[0], 500)"


async def main() -> None:
    """A quiet installation, one in trouble, one that has just begun, and the emulator with what all of them sent."""
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    with StubCluster() as cluster, started() as browser, tempfile.TemporaryDirectory() as directory:
        facts = await facts_of(cluster)
        async with Emulator() as good, Emulator() as bad:
            await quiet(browser, Path(directory) / "quiet", facts, good)
            await troubled(browser, Path(directory) / "troubled", facts, good, bad)
            await young(browser, Path(directory) / "young", facts, good)
        async with Emulator() as emulator, httpx.AsyncClient(trust_env=False) as client:
            place = place_at(Path(directory) / "emulator", emulator.url)
            with place.state:
                await place.report(facts)
                await place.deliver()
            events = [{"name": "session_start"}, {"name": "error", "params": {"reason": None}}]
            await client.post(f"{emulator.url}?measurement_id=G-TEST1", json={"client_id": "1.2", "events": events})
            await asyncio.to_thread(picture, browser, emulator.base_url, "emulator")


def place_at(directory: Path, *endpoints: str) -> Place:
    directory.mkdir()
    return Place(directory, endpoints)


async def quiet(browser: WebDriver, directory: Path, facts: ClusterFacts, good: Emulator) -> None:
    place = place_at(directory, good.url)
    place.previews(replace(grown(facts, 40), domain_count=7))
    with place.state:
        for step in range(35):
            await place.report(grown(facts, step if step % 9 != 8 else step - 1))
            place.take(Processed() if step < 33 else None)
            place.hands.pass_time(2 * HOUR)
        async with place.listener() as health:
            await asyncio.to_thread(picture, browser, health.address, "quiet")
            await asyncio.to_thread(picture, browser, health.address, "preview", then=PREVIEW)
            await asyncio.to_thread(picture, browser, health.address, "unfolded", then=UNFOLD)


async def troubled(browser: WebDriver, directory: Path, facts: ClusterFacts, good: Emulator, bad: Emulator) -> None:
    place = place_at(directory, good.url, bad.url)
    faults = ["", "403", "503", "503", "", "403", ""] * 3
    with place.state:
        for step in range(27):
            bad.fail = faults[step] if step < len(faults) else "503"
            await place.report(replace(grown(facts, step), own_reporter=True))
            if bad.fail != "503":
                await place.deliver()
            place.hands.pass_time(3 * HOUR)
        await place.deliver()
        stopped = not_running(facts.nodes[-1].name)
        gone = replace(grown(facts, 27), nodes=facts.nodes[:-1], unreachable=(stopped,))
        await place.report(gone)
        place.hands.pass_time(HOUR)
        place.say(failures=3, error="no node answers")
        async with place.listener() as health:
            await asyncio.to_thread(picture, browser, health.address, "troubled")


async def young(browser: WebDriver, directory: Path, facts: ClusterFacts, good: Emulator) -> None:
    place = place_at(directory, good.url)
    place.previews(replace(grown(facts, 40), domain_count=7))
    with place.state:
        async with place.listener() as health:
            await asyncio.to_thread(picture, browser, health.address, "young")


if __name__ == "__main__":
    asyncio.run(main())
