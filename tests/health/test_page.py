"""The page in a real browser, on top of a state directory with real reports."""

from __future__ import annotations

import asyncio
from itertools import product
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bridge.emulator.server import Emulator
from bridge.mongooseim.collect import not_running
from bridge.mongooseim.errors import NoNodeAnswered
from bridge.mongooseim.facts import STANZA_TYPES, Module, ModuleSet, NodeFacts, Unreachable
from bridge.state.receipts import Processed
from bridge.times import moment
from tests.delivery.support import DAY, HOUR
from tests.health.support import Place
from tests.support.browser import browser, complaints, contrasts, cut_off, shown_at, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx
    from selenium.webdriver.chrome.webdriver import WebDriver
    from selenium.webdriver.remote.webelement import WebElement

    from bridge.mongooseim.facts import ClusterFacts
    from bridge.report.model import Report

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

    def unfold(self) -> None:
        self.browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
        shown = "const raw = document.getElementById('raw'); return raw.hidden || raw.shown"
        self.until(lambda: self.browser.execute_script(shown), "the events are shown")

    def until(self, holds: Callable[[], object], what: str) -> None:
        wait_until(holds, what)

    def text(self, name: str) -> str:
        return self.browser.find_element(By.ID, name).text

    def rows(self, name: str) -> list[list[str]]:
        script = f"return [...document.querySelectorAll('#{name} tr')].map(r => [...r.cells].map(c => c.innerText))"
        found: list[list[str]] = self.browser.execute_script(script)
        return found

    def ask(self) -> None:
        """Press the button for a preview, and wait for it."""
        self.browser.find_element(By.ID, "ask").click()
        self.until(lambda: self.browser.find_element(By.ID, "changes").is_displayed(), "the preview is shown")

    def words(self) -> dict[str, str]:
        script = "return [...document.querySelectorAll('#words dt, #words dd')].map(each => each.innerText)"
        texts: list[str] = self.browser.execute_script(script)
        return dict(zip(texts[::2], texts[1::2], strict=True))

    def destinations(self) -> dict[str, list[str]]:
        """By name: its state, and what is said of it."""
        script = """
            const texts = (each, which) => [...each.querySelectorAll(which)].map(part => part.innerText);
            return [...document.querySelectorAll('.destination')].map(each =>
                [texts(each, '.name')[0], texts(each, '.verdict, .facts span')])"""
        return dict(self.browser.execute_script(script))

    def bars(self) -> dict[str, tuple[str, list[float]]]:
        """By module: what stands beside its bar, and the widths of its parts."""
        script = """return [...document.querySelectorAll('#backends tr')].map(row => [row.cells[0].innerText,
            row.cells[2].innerText,
            [...row.querySelectorAll('rect')].map(part => part.getBoundingClientRect().width)])"""
        return {module: (told, widths) for module, told, widths in self.browser.execute_script(script)}

    def marks(self, chart: str) -> list[str]:
        """The labels of a chart's marks, oldest first, as a screen reader reads them."""
        script = f"""return [...document.querySelector('{chart} svg').querySelectorAll('.mark')]
            .map(each => each.ariaLabel)"""
        found: list[str] = self.browser.execute_script(script)
        return found

    def strip(self, name: str) -> tuple[list[str], list[str]]:
        """The labels of a destination's cells, and their kinds."""
        script = """
            const of = [...document.querySelectorAll('.destination')]
                .find(each => each.querySelector('.name').innerText === arguments[0]);
            return [[...of.querySelectorAll('.mark')].map(each => each.ariaLabel),
                [...of.querySelectorAll('.mark .cell')].map(each => each.classList[1])]"""
        labels, kinds = self.browser.execute_script(script, name)
        return labels, kinds

    def lines(self, title: str) -> list[list[float]]:
        """The heights of each line's points in a panel, where 1 is the panel's top number."""
        script = f"""return [...document.querySelectorAll('svg[aria-label="{title}"] .line')].map(each =>
            each.getAttribute('d').slice(1, -2).split('L').map(point => (56 - point.split(',')[1]) / 52))"""
        found: list[list[float]] = self.browser.execute_script(script)
        return found


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
                page.unfold()
                assert page.text("ready") == "ready"
                assert (page.text("last"), page.text("next"), page.text("nodes")) == ("1 h ago", "in 2 h", "2")
                assert page.text("last-at") == moment(made.report.collected_at), "as the command line has it"
                assert page.text("waiting") == str(events)
                assert f"Client ID {made.report.client_id}" in page.text("sent-as")
                words = page.words()
                assert words["MongooseIM"] == "6.8.0 on 2 nodes"
                assert words["Custom modules"] == "2, and nothing else about them"
                rows = page.rows("events")
                assert sum(int(times) for _, times, _ in rows) == events
                assert ["host_count", "1", "value 4"] in rows
                assert ["module_with_opt", "3", "module mod_last backend mnesia"] in rows
                found = page.destinations()
                assert list(found) == names[::-1], "what fails is first"
                assert found[names[0]] == [
                    "delivering",
                    "last taken 1 h ago",
                    f"{events} delivered",
                    "0 waiting",
                    "0 refused",
                ]
                assert found[names[1]][:4] == ["failing", "last taken never", "0 delivered", f"{events} waiting"]
                assert found[names[1]][-1].startswith("next attempt")
                assert "answered 503 Service Unavailable" in page.text("problem-list")
                ((number, _, total, nodes, became),) = page.rows("past tbody")
                assert (number, total, nodes) == ("1", str(events), "2")
                assert f"{events} delivered" in became
                assert f"{events} waiting" in became
                assert "report = true" in page.text("consent")
                bars = page.bars()
                assert bars["mod_roster"][0] == "rdbms 3"
                assert bars["mod_muc (online)"][0] == "cets 2"
                lengths = {module: sum(widths) for module, (_, widths) in bars.items()}
                assert lengths["mod_roster"] == pytest.approx(3 * lengths["mod_http_upload"], rel=0.05)
                assert lengths["mod_roster"] == pytest.approx(lengths["mod_last"], rel=0.01)
                assert bars["mod_event_pusher"][0] == "push 1, http 1", "its event names one of them"
                assert "rdbms: 6 modules" in page.text("backends")
                assert "s3: 1 module" in page.text("backends")
                asyncio.run_coroutine_threadsafe(place.report(replace(facts, domain_count=6)), loop).result(10)
                page.until(lambda: page.words()["Domains"] == "6", "the new report appears by itself")
                assert len(page.marks(".trend")) == len(page.rows("past tbody")) == 2
                assert complaints(page.browser) == []

            loop = asyncio.get_running_loop()
            await seen(browser, place, look)


async def test_before_the_first_report_the_page_says_what_to_expect(browser: WebDriver, place: Place) -> None:
    place.say(consent="report is not set", notice=True)

    def look(page: Page) -> None:
        page.open()
        assert (page.text("ready"), page.text("last"), page.text("next")) == ("starting", "never", "in 5 min")
        assert page.browser.find_element(By.ID, "none").is_displayed()
        for name in ("problems", "report", "modules", "developed", "raw", "cluster", "past", "preview"):
            assert not page.browser.find_element(By.ID, name).is_displayed(), name
        assert "report is not set" in page.text("consent")
        assert [said[0] for said in page.destinations().values()] == ["nothing sent yet"] * 2

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
            page.unfold()
            assert page.rows("past tbody")[0][-1] == "JSON log only"

        await seen(browser, place, look)


async def test_what_fails_is_red_and_first(browser: WebDriver, place: Place, facts: ClusterFacts) -> None:
    reason = "mongooseim3@localhost cannot be connected to"
    stopped = not_running("mongooseim4@localhost")
    away = replace(facts, unreachable=(Unreachable("mongooseim3@localhost", reason), stopped), own_reporter=True)
    await place.report(away)
    place.hands.pass_time(4 * DAY)
    place.say(failures=7, error="no node answers")
    await place.deliver()
    names = list(place.installation.configured.values())

    def look(page: Page) -> None:
        page.open()
        assert page.text("ready") == "not ready"
        assert page.text("nodes") == "2 of 4"
        problems = page.text("problem-list").splitlines()
        assert "7 attempts in a row collected nothing: no node answers" in problems[0]
        assert [line.partition(" is failing since ")[0] for line in problems[1:3]] == names
        assert f"mongooseim3@localhost is missing since 2023-11-14T22:13:20Z: {reason}" in problems
        assert f"mongooseim4@localhost is missing since 2023-11-14T22:13:20Z: {stopped}" in problems
        assert "counted twice" in problems[-1]
        assert all("given up: expired" in said[-1] for said in page.destinations().values())
        script = "return document.querySelector('main section') === document.getElementById('problems')"
        assert browser.execute_script(script)
        red = browser.execute_script(RED)
        assert [red[".reason"], red["h2"], red[".verdict.bad"]] == [red["--bad"]] * 3
        tiles = browser.execute_script(TILES)
        assert [tile[1] for tile in tiles] == ["missing", "MongooseIM not running", "answering", "answering"]
        assert "missing since 2023-11-14T22:13:20Z" in tiles[0][2:]

    await seen(browser, place, look)


TILES = "return [...document.querySelectorAll('.node')].map(each => each.innerText.split('\\n').filter(Boolean))"
RED = """
    const probe = document.createElement("i");
    document.body.append(probe);
    probe.style.color = "var(--bad)";
    const colours = { "--bad": getComputedStyle(probe).color };
    for (const each of [".reason", "h2", ".verdict.bad"])
        colours[each] = getComputedStyle(document.querySelector(each)).color;
    probe.remove();
    return colours;
"""


async def lived(place: Place, facts: ClusterFacts, good: Emulator, bad: Emulator) -> None:
    """Seven reports, with a node that was away, and with each thing that can become of a report."""
    for step, fault in enumerate(("", "503:retry-after=900", "403", "", "", "", "503:retry-after=900")):
        bad.fail = fault
        away = facts.nodes[-1]
        known = (
            facts if step != 4 else replace(facts, nodes=facts.nodes[:1], unreachable=(Unreachable(away.name, "x"),))
        )
        counted = {life: {kind: n + step**2 * 7 for kind, n in of.items()} for life, of in facts.stanzas.items()}
        await place.report(replace(known, stanzas=counted, modules=facts.modules[: 1 + step // 3]))
        await place.deliver()
        place.hands.pass_time(4 * DAY if step == 1 else HOUR)


async def test_every_chart_shows_what_the_state_file_has(
    browser: WebDriver, tmp_path: Path, facts: ClusterFacts
) -> None:
    async with Emulator() as good, Emulator() as bad:
        place = Place(tmp_path, [good.url, bad.url])
        with place.state:
            await lived(place, facts, good, bad)
            reports = place.state.status().reports[::-1]
            events = [place.state.report(each.id)[1] for each in reports]  # type: ignore[index]
            kept, failing = place.installation.configured.values()
            when = [f"report {each.id}, {moment(each.collected_at)}" for each in reports]

            def look(page: Page) -> None:
                page.open()
                numbers = {
                    "Nodes": [[len(each.nodes) for each in reports]],
                    "Modules": [
                        [len({e.params["module"] for e in of if e.name == "module_with_opt"}) for of in events]
                    ],
                    "Events": [[each.events for each in reports]],
                }
                for title, kind in {"Messages": "Message", "IQs": "Iq", "Presences": "Presence"}.items():
                    numbers[title] = [
                        [e.params["increment"] for of in events for e in of if e.params.get("stanza_type") == name]
                        for name in (f"xmpp{kind}Sent", f"xmpp{kind}Received")
                    ]
                for title, series in numbers.items():
                    said = [
                        ", ".join(
                            f"{value:,} {name}".rstrip() for value, name in zip(values, NAMES[len(series)], strict=True)
                        )
                        for values in zip(*series, strict=True)
                    ]
                    chart = f'.trend:has([aria-label="{title}"])'
                    assert page.marks(chart) == [f"{at}: {what}" for at, what in zip(when, said, strict=True)]
                    assert page.lines(title) == [
                        pytest.approx([value / max(map(max, series)) for value in values], abs=0.001)
                        for values in series
                    ]
                page.unfold()
                cells = (
                    "[...document.querySelectorAll('#trends .figures tr')].map(r => [...r.cells].map(c => c.innerText))"
                )
                assert f"Since {moment(reports[0].collected_at)}" in page.text("developed")
                head, *rows = browser.execute_script(f"return {cells}")
                assert head[2:] == ["Nodes", "Modules", "Events", *STANZA_TYPES]
                columns = [
                    values
                    for title in ("Nodes", "Modules", "Events", "Messages", "IQs", "Presences")
                    for values in numbers[title]
                ]
                assert [row[2:] for row in rows[::-1]] == [
                    [f"{n:,}" for n in column] for column in zip(*columns, strict=True)
                ]
                assert [row[:2] for row in rows[::-1]] == [
                    [str(each.id), moment(each.collected_at)] for each in reports
                ]

                labels, kinds = page.strip(kept)
                assert labels == [f"{at}: {each.events} delivered" for at, each in zip(when, reports, strict=True)]
                assert kinds == ["delivered"] * 7
                labels, kinds = page.strip(failing)
                assert kinds == ["delivered", "given-up", "refused", "delivered", "delivered", "delivered", "waiting"]
                for label, at, each in zip(labels, when, reports, strict=True):
                    of = each.deliveries[1]
                    numbered = {
                        "delivered": of.delivered,
                        "waiting": of.queued,
                        "given up": of.dropped,
                        "refused": of.rejected,
                    }
                    assert label == f"{at}: " + ", ".join(f"{n} {what}" for what, n in numbered.items() if n)
                told_on_hover_and_focus(page)
                assert complaints(browser) == []

            await seen(browser, place, look)


def told_on_hover_and_focus(page: Page) -> None:
    """A value is told in all charts that are linked, where the pointer or the focus is."""
    browser = page.browser
    nodes = page.marks('.trend:has([aria-label="Nodes"])')

    def told(title: str) -> str:
        group = browser.find_element(By.CSS_SELECTOR, ".linked")
        panel = f'.trend:has([aria-label="{title}"]) .told'
        said = group.find_element(By.CSS_SELECTOR, panel).text
        return f"{group.find_element(By.CSS_SELECTOR, '.when').text}: {said}"

    def mark(position: int) -> WebElement:
        return browser.find_elements(By.CSS_SELECTOR, '[aria-label="Messages"] .mark')[position]

    assert told("Nodes") == nodes[-1]
    ActionChains(browser).move_to_element(mark(4)).perform()
    assert told("Nodes") == nodes[4]
    ActionChains(browser).move_to_element(browser.find_element(By.TAG_NAME, "h1")).perform()
    assert told("Nodes") == nodes[-1]
    browser.execute_script("arguments[0].focus()", mark(6))
    ActionChains(browser).send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT).perform()
    assert told("Nodes") == nodes[4]
    seen_at = browser.execute_script("return performance.now()")
    page.until(lambda: browser.execute_script(REFRESHED, seen_at), "the page is refreshed")
    assert told("Nodes") == nodes[4], "a refresh leaves the focus alone"
    ActionChains(browser).send_keys(Keys.HOME).perform()
    assert told("Nodes") == nodes[0]
    ActionChains(browser).send_keys(Keys.TAB).perform()
    assert told("Nodes") == nodes[-1]
    assert (
        browser.switch_to.active_element.get_attribute("aria-label") == page.marks('.trend:has([aria-label="IQs"])')[-1]
    )


NAMES = {1: ("",), 2: ("sent", "received")}


async def test_processed_is_told_from_delivered_where_the_destination_says_so(
    browser: WebDriver, place: Place, facts: ClusterFacts
) -> None:
    name, *_ = place.installation.configured.values()
    for answer in (Processed(), None, Processed(7, "INVALID_EVENT"), None):
        await place.report(facts)
        place.take(answer)
    events = place.state.status().last_report.events  # type: ignore[union-attr]

    def look(page: Page) -> None:
        page.open()
        labels, kinds = page.strip(name)
        assert kinds == ["processed", "processed", "refused", "delivered"]
        assert [label.partition("Z: ")[2] for label in labels] == [
            f"{events} delivered; {events} processed",
            f"{events} delivered; {events} processed",
            f"{events} delivered; {events - 7} processed, 7 not processed (INVALID_EVENT)",
            f"{events} delivered; {events} not known yet",
        ]
        told = f"{name} did not process all of report 3: {events - 7} processed, 7 not processed (INVALID_EVENT)"
        assert page.text("problem-list") == told
        assert page.destinations()[name][-1].endswith(f"7 not processed, {events} not known yet (INVALID_EVENT)")
        assert complaints(browser) == []

    await seen(browser, place, look)


REFRESHED = """return performance.getEntriesByType("resource").filter(each => each.name.includes("/page.json"))
    .some(each => each.startTime > arguments[0] && each.responseEnd < performance.now() - 50)"""


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
            assert page.strip(EVIL)[1] == ["nothing"]
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


async def test_where_another_process_collects_and_does_not_run_it_says_so(
    browser: WebDriver, place: Place, facts: ClusterFacts
) -> None:
    await place.report(facts)
    place.state.keep_service(None)

    def look(page: Page) -> None:
        page.open()
        assert (page.text("ready"), page.text("next")) == ("not running", "–")
        assert page.text("problem-list") == "no service is running"
        assert page.words()["Domains"] == "5"
        assert complaints(browser) == []

    await seen(browser, place, look)


async def test_the_page_says_when_the_service_is_gone(browser: WebDriver, place: Place) -> None:
    async with place.listener() as health:
        page = Page(browser, health.address)
        await asyncio.to_thread(page.open)
    await asyncio.to_thread(page.until, lambda: page.text("state") == "not reachable", "the loss is shown")


async def test_everything_fits_and_stands_out(browser: WebDriver, tmp_path: Path, facts: ClusterFacts) -> None:
    async with Emulator() as good, Emulator() as bad:
        place = Place(tmp_path, [good.url, bad.url])
        place.previews(facts)
        with place.state:
            await lived(place, facts, good, bad)
            await place.report(replace(facts, nodes=facts.nodes[:1], unreachable=(not_running(facts.nodes[1].name),)))
            place.say(failures=1, error="no node answers")

            def look(page: Page) -> None:
                for width, scheme in product((1280, 360), ("light", "dark")):
                    with shown_at(browser, width, scheme):
                        page.open()
                        assert cut_off(browser) == []
                        height = browser.execute_script("return document.documentElement.scrollHeight")
                        assert height < (3000 if width == 360 else 2200)
                        page.unfold()
                        page.ask()
                        assert cut_off(browser) == []
                        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
                        compared = contrasts(browser)
                    assert len(compared) > 400
                    assert [each for each in compared if each[1] < each[2]] == []  # WCAG AA: text 4.5, shapes 3

            await seen(browser, place, look)


async def test_a_preview_is_the_difference_to_the_last_report(
    browser: WebDriver, place: Place, facts: ClusterFacts
) -> None:
    now = {life: {kind: n + 5 for kind, n in of.items()} for life, of in facts.stanzas.items()}
    place.previews(replace(facts, domain_count=1234, stanzas=now))
    await place.report(facts)
    place.hands.pass_time(HOUR)

    def look(page: Page) -> None:
        page.open()
        page.ask()
        assert page.text("preview-said").startswith(
            f"2023-11-14T23:13:20Z: {len(events)} events of 2 nodes. 1 change since report 1"
        )
        first, *moving = browser.execute_script(CHANGES)
        assert first == ["domain_count", "", "value 5", "value 1234"]
        assert [row[1] for row in moving] == list(STANZA_TYPES)
        assert moving[0][3].endswith("increment 10")
        assert not page.browser.find_element(By.ID, "ask").is_enabled()

    events = place.state.report(1)[1]  # type: ignore[index]
    await seen(browser, place, look)


CHANGES = "return [...document.querySelector('#changes').tBodies[0].rows].map(r => [...r.cells].map(c => c.innerText))"


async def test_a_preview_that_fails_says_why(browser: WebDriver, place: Place) -> None:
    async def preview() -> Report:
        raise NoNodeAnswered([not_running("mongooseim1@localhost")])

    place.preview = preview

    def look(page: Page) -> None:
        page.open()
        page.browser.find_element(By.ID, "ask").click()
        page.until(lambda: "MongooseIM is not running" in page.text("preview-said"), "the reason is shown")
        assert not page.browser.find_element(By.ID, "changes").is_displayed()

    await seen(browser, place, look)
