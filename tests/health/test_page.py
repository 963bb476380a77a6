"""The page in a real browser, on top of a state directory with real reports."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver.common.by import By

from bridge.emulator.server import Emulator
from bridge.mongooseim.facts import Module, ModuleSet, NodeFacts, Unreachable
from tests.delivery.support import DAY, HOUR
from tests.health.support import Place
from tests.support.browser import browser, complaints, contrasts, set_scheme, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx
    from selenium.webdriver.chrome.webdriver import WebDriver

    from bridge.mongooseim.facts import ClusterFacts

__all__ = ["browser"]

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


class Page:
    """What a person sees on the page."""

    def __init__(self, browser: WebDriver, address: str) -> None:
        self.browser = browser
        self.address = address

    def open(self) -> None:
        complaints(self.browser)
        self.browser.get(self.address)
        self.until(lambda: self.text("state") == "live", "the page is live")

    def until(self, holds: Callable[[], object], what: str) -> None:
        wait_until(holds, what)

    def text(self, name: str) -> str:
        return self.browser.find_element(By.ID, name).text

    def rows(self, name: str) -> list[list[str]]:
        script = f"return [...document.querySelectorAll('#{name} tr')].map(r => [...r.cells].map(c => c.innerText))"
        found: list[list[str]] = self.browser.execute_script(script)
        return found

    def words(self) -> dict[str, str]:
        script = "return [...document.querySelectorAll('#words > *')].map(each => each.innerText)"
        texts: list[str] = self.browser.execute_script(script)
        return dict(zip(texts[::2], texts[1::2], strict=True))

    def bars(self) -> dict[str, tuple[str, list[float]]]:
        """By module: what stands beside its bar, and the widths of its parts."""
        script = """return [...document.querySelectorAll('#bars > .mono')].map(name => [name.innerText,
            name.nextSibling.innerText, [...name.nextSibling.querySelectorAll('.part')]
            .map(part => part.getBoundingClientRect().width)])"""
        return {module: (told, widths) for module, told, widths in self.browser.execute_script(script)}


async def seen(browser: WebDriver, place: Place, look: Callable[[Page], None]) -> None:
    """Let a test look at the page in a thread, while the listener is served here."""
    async with place.listener() as health:
        await asyncio.to_thread(look, Page(browser, health.address))


async def test_the_page_shows_what_was_shared_and_what_became_of_it(
    browser: WebDriver, tmp_path: Path, facts: ClusterFacts
) -> None:
    async with Emulator() as good, Emulator(fail="503") as failing:
        place = Place(tmp_path, [good.url, failing.url])
        names = list(place.installation.configured.values())
        with place.state:
            made = await place.report(facts)
            await place.deliver()
            place.hands.pass_time(HOUR)
            events = len(made.report.events)

            def look(page: Page) -> None:
                page.open()
                assert page.text("ready") == "ready"
                assert (page.text("last"), page.text("next"), page.text("nodes")) == ("1 h ago", "in 2 h", "2")
                assert page.text("waiting") == str(events)
                assert f"Client ID {made.report.client_id}" in page.text("sent-as")
                words = page.words()
                assert words["MongooseIM"] == "6.8.0 on 2 nodes"
                assert words["Custom modules"] == "2, and nothing else about them"
                rows = page.rows("events")
                assert sum(int(times) for _, times, _ in rows) == events
                assert ["host_count", "1", "value 4"] in rows
                assert ["module_with_opt", "3", "module mod_last backend mnesia"] in rows
                (kept, kept_state, taken, *counts, why), (waiting, waiting_state, never, *left, cause) = page.rows(
                    "destinations"
                )
                assert (kept, kept_state, taken) == (names[0], "delivering", "1 h ago")
                assert (counts, why) == (["0", "0", "0"], "")
                assert (waiting, waiting_state, never) == (names[1], "failing", "never")
                assert left == [str(events), "0", "0"]
                assert "answered 503 Service Unavailable (1 h ago)" in cause
                assert "next attempt" in cause
                ((number, _, total, nodes, became),) = page.rows("history")
                assert (number, total, nodes) == ("1", str(events), "2")
                assert f"{events} delivered" in became
                assert f"{events} queued" in became
                assert "report = true" in page.text("consent")
                assert not page.browser.find_element(By.ID, "trouble").is_displayed()
                assert complaints(page.browser) == []

            await seen(browser, place, look)


async def test_bars_are_as_long_as_the_host_types_are_many(
    browser: WebDriver, place: Place, facts: ClusterFacts
) -> None:
    await place.report(facts)

    def look(page: Page) -> None:
        page.open()
        bars = page.bars()
        assert bars["mod_roster"][0] == "rdbms 3"
        assert bars["mod_muc (online)"][0] == "cets 2"
        lengths = {module: sum(widths) for module, (_, widths) in bars.items()}
        assert lengths["mod_roster"] == pytest.approx(3 * lengths["mod_http_upload"], rel=0.05)
        assert lengths["mod_roster"] == pytest.approx(lengths["mod_last"], rel=0.01)
        assert "rdbms: 6 modules" in page.text("legend")
        assert "s3: 1 module" in page.text("legend")

    await seen(browser, place, look)


async def test_before_the_first_report_the_page_says_what_to_expect(browser: WebDriver, place: Place) -> None:
    place.say(consent="report is not set", notice=True)

    def look(page: Page) -> None:
        page.open()
        assert (page.text("ready"), page.text("last"), page.text("next")) == ("starting", "never", "in 5 min")
        assert "mongooseim-bridge preview" in page.text("none")
        assert not page.browser.find_element(By.ID, "report").is_displayed()
        assert not page.browser.find_element(By.ID, "raw").is_displayed()
        assert "report is not set" in page.text("consent")
        assert [row[1] for row in page.rows("destinations")] == ["nothing sent yet"] * 2

    await seen(browser, place, look)


async def test_without_destinations_it_says_that_nothing_leaves(
    browser: WebDriver, tmp_path: Path, facts: ClusterFacts
) -> None:
    place = Place(tmp_path)
    with place.state:
        await place.report(facts)

        def look(page: Page) -> None:
            page.open()
            assert "nothing leaves this network" in page.text("nobody")
            assert page.rows("history")[0][-1] == "JSON log only"

        await seen(browser, place, look)


async def test_trouble_is_at_the_top_and_told_in_full(browser: WebDriver, place: Place, facts: ClusterFacts) -> None:
    reason = "mongooseim3@localhost cannot be connected to"
    away = replace(facts, unreachable=(Unreachable("mongooseim3@localhost", reason),), own_reporter=True)
    await place.report(away)
    place.hands.pass_time(4 * DAY)
    place.say(failures=7, error="no node answers")
    await place.deliver()

    def look(page: Page) -> None:
        page.open()
        assert page.text("ready") == "not ready"
        assert "7 attempts in a row collected nothing: no node answers" in page.text("reason")
        assert page.text("nodes") == "2 of 3"
        notes = page.text("notes")
        assert reason in notes
        assert "counted twice" in notes
        rows = page.rows("destinations")
        assert all("given up: expired" in row[-1] for row in rows), rows

    await seen(browser, place, look)


async def test_a_new_report_appears_by_itself(browser: WebDriver, place: Place, facts: ClusterFacts) -> None:
    await place.report(facts)
    loop = asyncio.get_running_loop()

    def look(page: Page) -> None:
        page.open()
        assert page.words()["Domains"] == "5"
        changed = replace(facts, domain_count=6)
        asyncio.run_coroutine_threadsafe(place.report(changed), loop).result(10)
        page.until(lambda: page.words()["Domains"] == "6", "the new report is shown")
        assert [row[0] for row in page.rows("history")] == ["2", "1"]

    await seen(browser, place, look)


async def test_whatever_a_report_holds_is_text_and_never_markup(
    browser: WebDriver, tmp_path: Path, facts: ClusterFacts
) -> None:
    place = Place(tmp_path)
    query = "INSERT INTO destinations (key, name) VALUES (?, ?)"
    place.state.database.write(lambda connection: connection.execute(query, (EVIL, EVIL)))
    evil = replace(
        facts,
        nodes=(NodeFacts(EVIL, EVIL, EVIL, 5, 1, 1, EVIL),),
        unreachable=(Unreachable(EVIL, EVIL),),
        cluster_id=EVIL,
        modules=(ModuleSet((Module(EVIL, EVIL, EVIL, EVIL),), 2),),
        http_api=(EVIL,),
        transports=(EVIL,),
        outgoing_pools=(EVIL,),
    )
    with place.state:
        # GA4's limits would stop such a report before the queue: it goes to the history alone.
        await place.report(evil)
        place.say(reports=0, failures=1, error=EVIL, consent=EVIL)

        def look(page: Page) -> None:
            page.open()
            shown = page.browser.execute_script("return document.body.innerText")
            assert shown.count(EVIL) > 12
            assert page.words()["MongooseIM"] == f"{EVIL} on 1 node"
            assert page.bars()[EVIL][0] == f"{EVIL} 2"
            assert page.browser.title == "mongooseim-bridge"
            assert page.browser.find_elements(By.CSS_SELECTOR, "main img, main script") == []
            assert complaints(page.browser) == []

        await seen(browser, place, look)


async def test_the_policy_lets_nothing_in_and_nothing_out(
    browser: WebDriver, place: Place, client: httpx.AsyncClient
) -> None:
    async with place.listener() as health:
        answer = await client.get(health.address)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "http" not in answer.text
    nonces = {each.partition("'")[0] for each in policy.split("nonce-")[1:]}
    assert len(nonces) == 1

    def look(page: Page) -> None:
        page.open()
        page.browser.execute_script("""
            const script = document.createElement("script");
            script.textContent = "document.title = 'owned'";
            document.body.append(script);""")
        assert page.browser.title == "mongooseim-bridge"
        assert "Content Security Policy" in " ".join(complaints(page.browser))

    await seen(browser, place, look)


async def test_the_page_says_when_the_service_is_gone(browser: WebDriver, place: Place) -> None:
    async with place.listener() as health:
        page = Page(browser, health.address)
        await asyncio.to_thread(page.open)
    await asyncio.to_thread(page.until, lambda: page.text("state") == "not reachable", "the loss is shown")


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everything_fits_and_stands_out(
    browser: WebDriver, tmp_path: Path, facts: ClusterFacts, scheme: str, width: int
) -> None:
    async with Emulator() as good, Emulator(fail="503*1") as failing:
        place = Place(tmp_path, [good.url, failing.url])
        with place.state:
            await place.report(replace(facts, own_reporter=True))
            place.say(failures=1, error="no node answers")
            place.hands.pass_time(2 * DAY)
            await place.deliver()

            def look(page: Page) -> None:
                set_scheme(browser, scheme)
                size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
                browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                try:
                    page.open()
                    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
                    compared = contrasts(browser)
                finally:
                    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
                    set_scheme(browser, "light")
                assert len(compared) > 150
                assert [each for each in compared if each[1] < each[2]] == []  # WCAG AA: 4.5 for text, 3 for bars

            await seen(browser, place, look)
