"""A real browser for the pages: headless Chromium, or a skip that says what is missing.

Use the fixture by importing it: `from tests.support.browser import browser`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
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
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("no chromium and chromedriver here (Debian: apt-get install chromium chromium-driver)")
    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        environment = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
        service = webdriver.ChromeService(driver, env=environment)
        with webdriver.Chrome(options=options, service=service) as started:
            started.set_page_load_timeout(30)
            started.set_script_timeout(10)
            yield started


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


def contrasts(browser: WebDriver) -> list[tuple[str, float, float]]:
    """Each text and bar of a page: its class or tag, its contrast, and the least that WCAG AA asks for."""
    found: list[tuple[str, float, float]] = browser.execute_script(_CONTRASTS)
    return found


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
    const texts = "h1, h2, header *, .tile *, th, td, dt, dd, .card > p, .card > p *, .chip, .chip i, .verdict, " +
        ".reason, .warning, .key, .told, #bars > .mono";
    return [
        ...[...document.querySelectorAll(texts)].filter(each => each.innerText).map(each =>
            [each.className || each.tagName, contrast(numbers(getComputedStyle(each).color), backdrop(each)), 4.5]),
        ...[...document.querySelectorAll(".part")].map(each =>
            ["part", contrast(backdrop(each), backdrop(each.parentElement)), 3])];
"""
