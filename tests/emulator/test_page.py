"""The emulator's page in a real browser."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.support.browser import browser, complaints, contrasts, cut_off, shown_at, wait_until
from tests.support.emulator import RunningEmulator, running_emulator

__all__ = ["browser"]

PARAMS = {"session_id": "1", "engagement_time_msec": 100}
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@pytest.fixture
def emulator(tmp_path: Path, browser: WebDriver) -> Iterator[RunningEmulator]:
    browser.get("about:blank")  # the last test's page would complain that its emulator is not reachable
    complaints(browser)
    with running_emulator(tmp_path / "events.jsonl") as running:
        yield running


def send(emulator: RunningEmulator, *events: dict[str, object]) -> None:
    body = json.dumps({"client_id": "1.2", "events": events}).encode()
    OPENER.open(f"{emulator.url}?measurement_id=G-TEST&api_secret=hush-hush", body, timeout=5).close()


def text(browser: WebDriver, name: str) -> str:
    return browser.find_element(By.ID, name).text


def rows(browser: WebDriver) -> list[list[str]]:
    """The visible rows as their cells' texts."""
    script = """return [...document.querySelectorAll("#events tr")].filter(row => !row.hidden)
        .map(row => [...row.cells].map(cell => cell.innerText))"""
    found: list[list[str]] = browser.execute_script(script)
    return found


def test_the_page_shows_what_arrives_by_itself_newest_first(browser: WebDriver, emulator: RunningEmulator) -> None:
    browser.get(emulator.base_url)
    wait_until(lambda: text(browser, "state") == "live", "the page is live")
    assert "Nothing has arrived yet" in text(browser, "empty")
    assert text(browser, "url") == emulator.url
    send(emulator, {"name": "host_count", "params": {**PARAMS, "value": 3}}, {"name": "session_start"})
    wait_until(lambda: len(rows(browser)) == 2, "both events are shown")
    rejected, accepted = rows(browser)
    assert [rejected[0], *rejected[2:4]] == ["rejected", "G-TEST", "session_start"]
    assert "NAME_RESERVED: Event at index: [1] has invalid name [session_start]." in rejected[4]
    assert [accepted[0], *accepted[2:4]] == ["accepted", "G-TEST", "host_count"]
    assert "value 3" in accepted[4]
    assert [text(browser, name) for name in ("accepted", "rejected", "requests", "fail")] == ["1", "1", "1", "no"]
    emulator.fail("503*9")
    wait_until(lambda: text(browser, "fail") == "503*9", "the fault is shown")
    assert complaints(browser) == []


def test_events_can_be_filtered(browser: WebDriver, emulator: RunningEmulator) -> None:
    browser.get(emulator.base_url)
    send(emulator, {"name": "host_count", "params": PARAMS}, {"name": "error"}, {"name": "cluster", "params": PARAMS})
    wait_until(lambda: len(rows(browser)) == 3, "the events are shown")
    browser.find_element(By.ID, "search").send_keys("HOST_")
    assert [row[3] for row in rows(browser)] == ["host_count"]
    browser.find_element(By.ID, "search").clear()
    Select(browser.find_element(By.ID, "show")).select_by_value("rejected")
    assert [row[3] for row in rows(browser)] == ["error"]


def test_what_arrives_is_text_and_never_markup(browser: WebDriver, emulator: RunningEmulator) -> None:
    evil = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    browser.get(emulator.base_url)
    send(emulator, {"name": evil, "params": {evil: evil}})
    wait_until(lambda: len(rows(browser)) == 1, "the event is shown")
    (row,) = rows(browser)
    assert row[3] == evil
    assert evil in row[4]
    assert browser.title == "GA4 emulator"
    assert browser.find_elements(By.CSS_SELECTOR, "#events img, #events script") == []
    assert complaints(browser) == []


def test_the_policy_refuses_scripts_that_are_not_the_page_s_own(browser: WebDriver, emulator: RunningEmulator) -> None:
    with OPENER.open(emulator.base_url, timeout=5) as answer:
        policy, page = answer.headers["Content-Security-Policy"], answer.read().decode()
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "http" not in page.replace("http-equiv", "")
    browser.get(emulator.base_url)
    complaints(browser)
    browser.execute_script("""
        const script = document.createElement("script");
        script.textContent = "document.title = 'owned'";
        document.body.append(script);""")
    assert browser.title == "GA4 emulator"
    assert "Content Security Policy" in " ".join(complaints(browser))


def test_the_page_says_when_the_emulator_is_gone(browser: WebDriver, tmp_path: Path) -> None:
    with running_emulator(tmp_path / "events.jsonl") as emulator:
        browser.get(emulator.base_url)
        wait_until(lambda: text(browser, "state") == "live", "the page is live")
    wait_until(lambda: text(browser, "state") == "not reachable", "the loss is shown")


def test_the_newest_rows_are_kept_and_come_in_parts(browser: WebDriver, emulator: RunningEmulator) -> None:
    for first in range(0, 600, 25):
        send(emulator, *({"name": f"e{number}", "params": {"text": "x" * 99}} for number in range(first, first + 25)))
    browser.get(emulator.base_url)
    wait_until(lambda: len(rows(browser)) == 500, "the page has its rows")
    assert [rows(browser)[index][3] for index in (0, -1)] == ["e599", "e100"]
    with OPENER.open(f"{emulator.base_url}/emulator/events?after=1", timeout=5) as answer:
        assert [event["number"] for event in json.load(answer)["events"]] == [*range(2, 102)]
    send(emulator, {"name": "e600", "params": PARAMS})
    wait_until(lambda: rows(browser)[0][3] == "e600", "it goes on")
    assert len(rows(browser)) == 500


@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_fits_and_stands_out(browser: WebDriver, emulator: RunningEmulator, scheme: str, width: int) -> None:
    send(emulator, {"name": "host_count", "params": {"value": 3}}, {"name": "_bad", "params": {"value": None}})
    with shown_at(browser, width, scheme):
        browser.get(emulator.base_url)
        wait_until(lambda: len(rows(browser)) == 2, "the events are shown")
        assert cut_off(browser) == []
        for what in browser.find_elements(By.CSS_SELECTOR, "#events .name, #events .params"):
            assert 0 <= what.rect["x"] < what.rect["x"] + what.rect["width"] <= width
        compared = contrasts(browser)
    assert len(compared) > 20
    assert [each for each in compared if each[1] < each[2]] == []
