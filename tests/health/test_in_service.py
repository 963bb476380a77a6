"""The listener of the installed command, while it reports."""

from __future__ import annotations

import signal
import socket
from typing import TYPE_CHECKING

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from selenium.webdriver.common.by import By

from tests.service.support import IDLE, poll, running
from tests.support.bridge import Bridge
from tests.support.browser import browser
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver.chrome.webdriver import WebDriver

    from erlang_stubs.cluster import StubCluster

__all__ = ["browser"]


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=5) as client:
        yield client


def answers(client: httpx.Client, url: str) -> int:
    try:
        return client.get(url).status_code
    except httpx.TransportError:
        return 0


def test_the_service_is_alive_at_once_and_ready_with_its_first_report(
    default_cluster: StubCluster, tmp_path: Path, client: httpx.Client
) -> None:
    with running_emulator(tmp_path / "record.jsonl") as emulator:
        port = unused_port()
        settings = f"health.port = {port}"
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (emulator.url,), IDLE, settings)
        url = f"http://127.0.0.1:{port}"
        with running(bridge) as service:
            poll("alive", lambda: answers(client, f"{url}/healthz") == 200)
            assert client.get(f"{url}/readyz").status_code == 503
            service.send(signal.SIGUSR1)
            poll("ready", lambda: answers(client, f"{url}/readyz") == 200)
            service.wait_for("delivered")
            found = {
                sample.name: sample.value
                for family in text_string_to_metric_families(client.get(f"{url}/metrics").text)
                for sample in family.samples
            }
            events = client.get(f"{url}/report.json").json()
            assert events == bridge.json_log
            assert found["mongooseim_bridge_reports_total"] == 1
            assert found["mongooseim_bridge_last_report_events"] == len(events)
            shown = client.get(f"{url}/status.json").json()
            printed = bridge.run("status", "--format", "json").json()
            assert {**shown, "now": ""} == {**printed, "now": ""}
            assert client.get(url).headers["content-security-policy"].startswith("default-src 'none'")
        assert answers(client, f"{url}/healthz") == 0


def test_the_button_asks_the_nodes_and_writes_and_sends_nothing(
    browser: WebDriver, client: httpx.Client, default_cluster: StubCluster, tmp_path: Path
) -> None:
    with running_emulator(tmp_path / "record.jsonl") as emulator:
        port = unused_port()
        name = 'name = "asked-by-the-page@localhost"'
        bridge = Bridge(
            tmp_path / "bridge", default_cluster.environ, (emulator.url,), IDLE, f"health.port = {port}\n{name}"
        )
        with running(bridge):
            browser.get("about:blank")
            poll("alive", lambda: answers(client, f"http://127.0.0.1:{port}/healthz") == 200)
            browser.get(f"http://127.0.0.1:{port}/")
            ask = browser.find_element(By.ID, "ask")
            poll("the page has its button", ask.is_displayed)
            ask.click()
            said = browser.find_element(By.ID, "preview-said")
            poll("the preview is shown", lambda: "no report yet to compare with" in said.text)
            rows = browser.find_elements(By.CSS_SELECTOR, "#changes tbody tr")
            assert "events of 2 nodes" in said.text
            assert "module_with_opt mod_roster – " in " ".join(row.text.replace("\n", " ") for row in rows)
            assert bridge.run("history", "--format", "json").json()["reports"] == []
        assert not (tmp_path / "bridge" / "log").exists() or not list((tmp_path / "bridge" / "log").iterdir())
        assert emulator.events() == []


def test_a_taken_port_ends_the_start_with_one_clear_line(default_cluster: StubCluster, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (), IDLE, f"health.port = {port}")
        done = bridge.run("run")
    assert done.code == 6
    (line,) = [line for line in done.err.splitlines() if line.startswith("mongooseim-bridge: ")]
    assert f"the health listener (bridge.health) cannot listen on 127.0.0.1:{port}" in line
    assert "Traceback" not in done.err
