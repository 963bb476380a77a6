"""The listener's answers, over real connections."""

from __future__ import annotations

import asyncio
import json
import math
import sys
from typing import TYPE_CHECKING

import pytest

from bridge.config.model import Health as HealthSection
from bridge.delivery.store import Store
from bridge.service.health import Health, HealthError
from tests.delivery.support import HOUR
from tests.health.support import ANY_PORT, PERIOD

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from bridge.mongooseim.facts import ClusterFacts
    from tests.health.support import Installation

SECOND = 1_000_000


async def test_it_is_alive_until_the_loop_is_later_than_it_said(
    installation: Installation, client: httpx.AsyncClient
) -> None:
    async with installation.health as health:
        now = asyncio.get_running_loop().time()
        for alive_until, status in ((math.inf, 200), (now + 60, 200), (now - 60, 503)):
            installation.state.alive_until = alive_until
            answer = await client.get(f"{health.address}/healthz")
            assert answer.status_code == status
    assert "stuck: 60 s later" in answer.text


async def test_a_cluster_out_of_reach_is_no_reason_to_restart(
    installation: Installation, client: httpx.AsyncClient
) -> None:
    installation.state.failures, installation.state.error = 1000, "nobody answers"
    installation.hands.pass_time(1000 * HOUR)
    async with installation.health as health:
        assert (await client.get(f"{health.address}/healthz")).text == "alive\n"


async def test_it_is_ready_from_the_first_report_on(
    installation: Installation, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    async with installation.health as health:
        answer = await client.get(f"{health.address}/readyz")
        assert answer.status_code == 503
        assert answer.text == (
            "no report since the start at 2023-11-14T22:13:20Z; the next attempt is at 2023-11-14T22:18:20Z\n"
        )
        installation.state.failures, installation.state.error = 1, "node a@b does not answer"
        answer = await client.get(f"{health.address}/readyz")
        assert "1 attempt collected nothing: node a@b does not answer" in answer.text
        await installation.report(facts)
        answer = await client.get(f"{health.address}/readyz")
        assert (answer.status_code, answer.text) == (200, "ready\n")


async def test_a_report_of_an_earlier_start_does_not_make_it_ready(
    installation: Installation, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    await installation.report(facts)
    installation.state.reports = 0
    installation.state.last_report_at = None
    async with installation.health as health:
        assert (await client.get(f"{health.address}/readyz")).status_code == 503


@pytest.mark.parametrize(
    ("failures", "age", "status"),
    [
        (0, 2 * PERIOD + 1, 200),  # the clock jumped
        (1, PERIOD + 1, 200),  # the next one is in its retries
        (9, 2 * PERIOD, 200),
        (9, 2 * PERIOD + 1, 503),
    ],
)
async def test_failing_for_more_than_a_period_after_one_was_due_is_not_ready(
    installation: Installation, client: httpx.AsyncClient, facts: ClusterFacts, failures: int, age: float, status: int
) -> None:
    await installation.report(facts)
    installation.state.failures, installation.state.error = failures, "connection refused"
    installation.hands.pass_time(int(age * SECOND))
    async with installation.health as health:
        answer = await client.get(f"{health.address}/readyz")
    assert answer.status_code == status
    if status == 503:
        assert answer.text == (
            "the last report is of 2023-11-14T22:13:20Z; 9 attempts in a row collected nothing: connection refused\n"
        )


async def test_the_report_is_byte_for_byte_the_json_log(
    installation: Installation, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    async with installation.health as health:
        answer = await client.get(f"{health.address}/report.json")
        assert (answer.status_code, answer.text) == (404, "no report was made yet\n")
        made = await installation.report(facts)
        answer = await client.get(f"{health.address}/report.json")
        assert answer.content == made.json_log.read_bytes()
        assert answer.headers["content-type"] == "application/json"
        # one that a crash left before its JSON log is not shown as shared
        installation.store.add(made.report, installation.destinations)
        assert (await client.get(f"{health.address}/account.json")).json()["report"]["id"] == made.id


async def test_an_account_does_not_repeat_a_report_that_the_page_has(
    installation: Installation, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    made = await installation.report(facts)
    async with installation.health as health:
        for query in ("", "?report=", "?report=-1", f"?report={made.id + 1}", "?report=" + "9" * 40, "?report=\u0663"):
            account = (await client.get(f"{health.address}/account.json{query}")).json()
            assert account["report"]["id"] == made.id
        account = (await client.get(f"{health.address}/account.json?report={made.id}")).json()
        assert account["report"] is None
        assert account["history"][0]["id"] == made.id


async def test_a_destination_that_is_no_longer_configured_is_told_apart(
    installation: Installation, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    await installation.report(facts)
    del installation.state.destinations[installation.destinations[0].id]
    async with installation.health as health:
        found = (await client.get(f"{health.address}/account.json")).json()["destinations"]
    assert [(one["name"].split()[0], one["configured"]) for one in found] == [("G-TEST2", True), ("G-TEST1", False)]


async def test_nothing_but_get_is_taken(installation: Installation, client: httpx.AsyncClient) -> None:
    async with installation.health as health:
        for path in ("/", "/healthz", "/metrics", "/report.json"):
            assert (await client.post(f"{health.address}{path}")).status_code == 405
        assert (await client.get(f"{health.address}/state/bridge.sqlite3")).status_code == 404


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:9180", 200),
        ("127.0.0.1", 200),
        ("[::1]:9180", 200),
        ("evil.example", 403),
        ("localhost.evil.example:9180", 403),
        ("[", 403),
    ],
)
async def test_a_name_made_to_lead_here_opens_nothing(
    installation: Installation, client: httpx.AsyncClient, host: str, status: int
) -> None:
    async with installation.health as health:
        for path in ("/", "/account.json", "/metrics"):
            assert (await client.get(health.address + path, headers={"Host": host})).status_code == status


async def test_a_check_by_http_1_0_without_a_host_is_answered(installation: Installation) -> None:
    async with installation.health as health:
        host, _, port = health.address.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == b"200"
        writer.close()
        await writer.wait_closed()


async def test_a_listener_for_the_network_is_asked_by_any_name(
    installation: Installation, client: httpx.AsyncClient
) -> None:
    section = HealthSection(port=0, host="0.0.0.0")
    async with Health(section, installation.state, installation.store) as health:
        address = health.address.replace("0.0.0.0", "127.0.0.1")
        answer = await client.get(f"{address}/healthz", headers={"Host": "bridge.monitoring.svc"})
    assert answer.status_code == 200


async def test_a_taken_port_is_one_clear_error(installation: Installation) -> None:
    async with installation.health as health:
        port = int(health.address.rpartition(":")[2])
        section = HealthSection(port=port)
        with pytest.raises(HealthError, match=rf"\(bridge.health\) cannot listen on 127.0.0.1:{port}: .*in use"):
            async with Health(section, installation.state, installation.store):
                pass


async def test_an_unusable_state_file_is_said_and_life_goes_on(
    installation: Installation, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    with Store.open(tmp_path / "gone") as store:
        (tmp_path / "gone" / "bridge.sqlite3").unlink()
        for left in (tmp_path / "gone").iterdir():
            left.unlink()
        (tmp_path / "gone").rmdir()
        (tmp_path / "gone").write_text("no directory")
        async with Health(ANY_PORT, installation.state, store) as health:
            for path in ("/account.json", "/report.json"):
                answer = await client.get(health.address + path)
                assert answer.status_code == 503
                assert str(tmp_path / "gone") in answer.text
            assert (await client.get(f"{health.address}/healthz")).status_code == 200
            assert "mongooseim_bridge_state_readable 0.0" in (await client.get(f"{health.address}/metrics")).text


async def test_without_the_extra_metrics_say_how_to_get_them(
    installation: Installation, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "bridge.service.health.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    async with installation.health as health:
        answer = await client.get(f"{health.address}/metrics")
    assert answer.status_code == 501
    assert "pip install 'mongooseim-bridge[metrics]'" in answer.text


async def test_it_says_nothing_secret(
    installation: Installation, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    await installation.report(facts)
    secret = installation.destinations[0].secret.reveal()  # type: ignore[attr-defined]
    async with installation.health as health:
        for path in ("/", "/account.json", "/report.json", "/metrics"):
            assert secret not in (await client.get(health.address + path)).text
        account = json.dumps((await client.get(f"{health.address}/account.json")).json())
    assert "mongooseim1@localhost" in account  # for the operator's eyes
