"""The listener's answers, over real connections."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

from tests.delivery.support import HOUR, NOW, SECRET
from tests.health.support import PERIOD, STANDARD

if TYPE_CHECKING:
    from pathlib import Path

    import httpx
    import pytest

    from bridge.mongooseim.facts import ClusterFacts
    from tests.health.support import Place

SECOND = 1_000_000


async def test_it_is_alive_until_its_loop_is_stuck(place: Place, client: httpx.AsyncClient) -> None:
    async with place.listener() as health:
        assert (await client.get(f"{health.address}/healthz")).status_code == 200
        place.stuck = "the reporting loop is stuck: 60 s later than it should have come round"
        answer = await client.get(f"{health.address}/healthz")
        assert (answer.status_code, answer.text) == (503, f"{place.stuck}\n")


async def test_a_cluster_out_of_reach_is_no_reason_to_restart(place: Place, client: httpx.AsyncClient) -> None:
    place.say(failures=1000, error="nobody answers")
    place.hands.pass_time(1000 * HOUR)
    async with place.listener() as health:
        assert (await client.get(f"{health.address}/healthz")).text == "alive\n"


async def test_it_is_ready_from_the_first_report_on(
    place: Place, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    async with place.listener() as health:
        answer = await client.get(f"{health.address}/readyz")
        assert answer.status_code == 503
        assert answer.text == (
            "no report since the start at 2023-11-14T22:13:20Z; the next attempt is at 2023-11-14T22:18:20Z\n"
        )
        place.say(failures=1, error="node a@b does not answer")
        answer = await client.get(f"{health.address}/readyz")
        assert "1 attempt collected nothing: node a@b does not answer" in answer.text
        await place.report(facts)
        answer = await client.get(f"{health.address}/readyz")
        assert (answer.status_code, answer.text) == (200, "ready\n")


async def test_a_report_of_an_earlier_start_does_not_make_it_ready(
    place: Place, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    await place.report(facts)
    place.say(reports=0)
    async with place.listener() as health:
        assert (await client.get(f"{health.address}/readyz")).status_code == 503


async def test_failing_for_more_than_a_period_after_one_was_due_is_not_ready(
    place: Place, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    await place.report(facts)
    async with place.listener() as health:
        for failures, age, status in (
            (1, PERIOD + 1, 200),  # the next one is in its retries
            (9, 2 * PERIOD, 200),
            (9, 2 * PERIOD + 1, 503),
            (0, 2 * PERIOD + 1, 200),  # the clock jumped
        ):
            place.say(failures=failures, error="connection refused")
            place.hands.pass_time(NOW + int(age * SECOND) - place.hands.wall)
            answer = await client.get(f"{health.address}/readyz")
            assert answer.status_code == status
            if status == 503:
                assert answer.text == (
                    "the last report is of 2023-11-14T22:13:20Z; 9 attempts in a row collected nothing: "
                    "connection refused\n"
                )


async def test_the_report_is_byte_for_byte_the_json_log(
    place: Place, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    async with place.listener() as health:
        answer = await client.get(f"{health.address}/report.json")
        assert (answer.status_code, answer.text) == (404, "no report was made yet\n")
        made = await place.report(facts)
        answer = await client.get(f"{health.address}/report.json")
        assert answer.content == made.json_log.read_bytes()
        assert answer.headers["content-type"] == "application/json"
        # one that a crash left before its JSON log is not shown as shared
        place.state.add(made.report)
        assert (await client.get(f"{health.address}/page.json")).json()["report"]["id"] == made.id


async def test_a_view_does_not_repeat_a_report_that_the_page_has(
    place: Place, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    made = await place.report(facts)
    async with place.listener() as health:
        for query in ("", "?report=", "?report=-1", f"?report={made.id + 1}", "?report=" + "9" * 40, "?report=\u0663"):
            view = (await client.get(f"{health.address}/page.json{query}")).json()
            assert view["report"]["id"] == made.id
        view = (await client.get(f"{health.address}/page.json?report={made.id}")).json()
        assert view["report"] is None
        assert view["status"]["reports"][0]["id"] == made.id


async def test_a_destination_that_is_no_longer_configured_is_told_apart(
    place: Place, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    await place.report(facts)
    place.endpoints = place.endpoints[1:]
    async with place.listener() as health:
        found = (await client.get(f"{health.address}/status.json")).json()["destinations"]
    assert [(one["id"].split()[1], one["configured"]) for one in found[1:]] == [
        (STANDARD, False),
        (STANDARD.replace("9", "10", 1), False),
    ]


async def test_nothing_but_get_is_taken(place: Place, client: httpx.AsyncClient) -> None:
    async with place.listener() as health:
        for path in ("/", "/healthz", "/metrics", "/report.json"):
            assert (await client.post(f"{health.address}{path}")).status_code == 405
        assert (await client.get(f"{health.address}/state/bridge.sqlite3")).status_code == 404


HOSTS = {
    "localhost:9180": 200,
    "127.0.0.1": 200,
    "[::1]:9180": 200,
    "evil.example": 403,
    "localhost.:9180": 200,
    "localhost.evil.example:9180": 403,
    "[": 403,
}


async def test_a_name_made_to_lead_here_opens_nothing(place: Place, client: httpx.AsyncClient) -> None:
    async with place.listener() as health:
        for host, status in HOSTS.items():
            for path in ("/", "/page.json", "/status.json", "/metrics"):
                assert (await client.get(health.address + path, headers={"Host": host})).status_code == status, host


async def test_a_check_by_http_1_0_without_a_host_is_answered(place: Place) -> None:
    async with place.listener() as health:
        host, _, port = health.address.removeprefix("http://").partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == b"200"
        writer.close()
        await writer.wait_closed()


async def test_a_listener_for_the_network_is_asked_by_any_name(place: Place, client: httpx.AsyncClient) -> None:
    async with place.listener(host="0.0.0.0") as health:
        address = health.address.replace("0.0.0.0", "127.0.0.1")
        answer = await client.get(f"{address}/healthz", headers={"Host": "bridge.monitoring.svc"})
    assert answer.status_code == 200


async def test_an_unusable_state_file_is_said_and_life_goes_on(
    place: Place, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    file = tmp_path / "state" / "bridge.sqlite3"
    async with place.listener() as health:
        place.state.close()
        for left in (tmp_path / "state").iterdir():
            left.unlink()
        file.mkdir()
        for path in ("/page.json", "/status.json", "/report.json", "/readyz"):
            answer = await client.get(health.address + path)
            assert answer.status_code == 503
            assert str(file) in answer.text
        assert (await client.get(f"{health.address}/healthz")).status_code == 200
        assert "mongooseim_bridge_state_readable 0.0" in (await client.get(f"{health.address}/metrics")).text


async def test_without_the_extra_metrics_say_how_to_get_them(
    place: Place, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("prometheus_client")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(sys.modules, "bridge.health.metrics", raising=False)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    async with place.listener() as health:
        answer = await client.get(f"{health.address}/metrics")
    assert answer.status_code == 501
    assert "pip install 'mongooseim-bridge[metrics]'" in answer.text


async def test_it_says_nothing_secret(place: Place, client: httpx.AsyncClient, facts: ClusterFacts) -> None:
    await place.report(facts)
    async with place.listener() as health:
        for path in ("/", "/page.json", "/status.json", "/report.json", "/metrics"):
            assert SECRET not in (await client.get(health.address + path)).text
        view = json.dumps((await client.get(f"{health.address}/status.json")).json())
    assert "mongooseim1@localhost" in view  # for the operator's eyes
