"""A real browser for the pages: headless Chromium, or a skip that says what is missing.

Use the fixture by importing it: `from tests.support.browser import browser`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from selenium import webdriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium.webdriver.chrome.webdriver import WebDriver

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[WebDriver]:
    """Headless Chromium with a profile of its own, shared by the tests of a run; its console log is kept."""
    if not all(programs()):
        pytest.skip("no chromium and chromedriver here (Debian: apt-get install chromium chromium-driver)")
    with started() as browser:
        yield browser


def programs() -> tuple[str | None, str | None]:
    """Chromium and its driver, where they are."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    return chromium, shutil.which("chromedriver")


@contextmanager
def started() -> Iterator[WebDriver]:
    """The browser itself, for programs that are no test."""
    chromium, driver = programs()
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium or ""
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        service = webdriver.ChromeService(driver, env=environment)
        with webdriver.Chrome(options=options, service=service) as browser:
            browser.set_page_load_timeout(30)
            browser.set_script_timeout(10)
            yield browser


def set_scheme(browser: WebDriver, scheme: str) -> None:
    """Show pages as for people who prefer "light" or "dark"."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def complaints(browser: WebDriver) -> list[str]:
    """What the console has said since the last call: script errors, refused resources, policy violations."""
    return [entry["message"] for entry in browser.get_log("browser")]  # type: ignore[no-untyped-call]


def wait_until(holds: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Poll until something holds; fails with `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not after {seconds} s: {what}"
        time.sleep(0.05)


@contextmanager
def shown_at(browser: WebDriver, width: int, scheme: str = "light") -> Iterator[None]:
    """Show pages so wide, below 600 as on a phone, for people who prefer "light" or "dark"."""
    set_scheme(browser, scheme)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        set_scheme(browser, "light")


def cut_off(browser: WebDriver) -> list[str]:
    """What sticks out of the window or of its own box, unless its box scrolls."""
    found: list[str] = browser.execute_script(_CUT_OFF)
    return found


def contrasts(browser: WebDriver) -> list[tuple[str, float, float]]:
    """Each text and each shape of a chart: what it is, its contrast, and the least that WCAG AA asks for."""
    found: list[tuple[str, float, float]] = browser.execute_script(_CONTRASTS)
    return found


_CUT_OFF = """
    const width = document.documentElement.clientWidth;
    const scrolls = each => each && (getComputedStyle(each).overflowX === "auto" || scrolls(each.parentElement));
    const out = each => {
        const box = each.getBoundingClientRect();
        return box.width && (box.right > width + 0.5 || box.left < -0.5) ||
            each.clientWidth && each.scrollWidth > each.clientWidth + 1;
    };
    return [...document.querySelectorAll("main *:not(svg *):not(.unseen)")].filter(each => !scrolls(each) && out(each))
        .map(each => `${each.tagName} ${each.className} ${each.innerText}`.slice(0, 80));
"""

_CONTRASTS = """
    const numbers = colour => colour.match(/[0-9.]+/g).map(Number);
    const backdrop = element => {
        const colour = numbers(getComputedStyle(element).backgroundColor);
        return colour[3] === 0 ? backdrop(element.parentElement) : colour;
    };
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const contrast = (one, other) => {
        const [a, b] = [light(one), light(other)];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    };
    const visible = each => each.checkVisibility({ visibilityProperty: true });
    const hasText = each => [...each.childNodes].some(node => node.nodeType === Node.TEXT_NODE && node.data.trim());
    const name = each => `${each.tagName} ${each.getAttribute("class") ?? ""}`;
    const colour = each => ["fill", "stroke"].map(part => getComputedStyle(each)[part])
        .find(value => value !== "none" && numbers(value)[3] !== 0);
    const shapes = "svg .line, svg .dot, .cell rect, .nothing .glyph, .given-up .glyph, .bars rect";
    const texts = [...document.querySelectorAll("main *:not(svg *)")].filter(each => hasText(each) && visible(each));
    return [
        ...texts.map(each => [name(each), contrast(numbers(getComputedStyle(each).color), backdrop(each)), 4.5]),
        ...[...document.querySelectorAll(shapes)].filter(each => visible(each) && colour(each)).map(each =>
            [name(each), contrast(numbers(colour(each)), backdrop(each.closest("svg").parentElement)), 3])];
"""
