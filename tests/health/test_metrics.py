"""The exposition, read back with Prometheus' own parser."""

from __future__ import annotations

from typing import TYPE_CHECKING

import prometheus_client
import pytest
from msgspec.structs import replace
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse

from bridge.emulator.server import Emulator
from bridge.mongooseim.facts import Unreachable
from bridge.state.receipts import Processed
from tests.delivery.support import DAY, HOUR, NOW
from tests.health.support import PERIOD, Place

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import httpx
    from prometheus_client import Metric

    from bridge.health.server import HealthListener
    from bridge.mongooseim.facts import ClusterFacts

Samples = dict[tuple[str, tuple[str, ...]], float]


def samples(families: Iterable[Metric]) -> Samples:
    """Every sample of ours by its name without the prefix, and its label values in order; each must occur once."""
    found: Samples = {}
    for family in families:
        for sample in family.samples:
            key = (sample.name.removeprefix("mongooseim_bridge_"), tuple(filter(None, sample.labels.values())))
            assert key not in found, key
            found[key] = sample.value
    return found


async def scrape(client: httpx.AsyncClient, health: HealthListener) -> Samples:
    answer = await client.get(f"{health.address}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return samples(parse(answer.text))


async def test_before_the_first_report_nothing_is_made_up(place: Place, client: httpx.AsyncClient) -> None:
    async with place.listener() as health:
        found = await scrape(client, health)
    names = {name for name, _ in found}
    assert not names & {"last_report_timestamp_seconds", "last_report_duration_seconds", "last_report_events"}
    assert found["ready", ()] == 0
    assert found["reports_total", ()] == 0
    assert found["failed_attempts", ()] == 0
    assert found["start_time_seconds", ()] == NOW / 1e6
    assert found["next_report_timestamp_seconds", ()] == NOW / 1e6 + 300
    assert found["state_readable", ()] == 1


async def test_a_report_is_measured(place: Place, client: httpx.AsyncClient, facts: ClusterFacts) -> None:
    away = replace(facts, unreachable=(Unreachable("mongooseim3@localhost", "refused"),))
    place.hands.pass_time(HOUR)
    made = await place.report(away)
    async with place.listener() as health:
        found = await scrape(client, health)
    assert found["ready", ()] == 1
    assert found["reports_total", ()] == 1
    assert found["last_report_timestamp_seconds", ()] == (NOW + HOUR) / 1e6
    assert found["last_report_duration_seconds", ()] == pytest.approx(0.123)
    assert found["last_report_events", ()] == len(made.report.events)
    assert found["nodes", ("asked",)] == 2
    assert found["nodes", ("not_asked",)] == 1
    assert found["period_seconds", ()] == PERIOD


async def test_every_event_is_delivered_queued_or_dropped_with_its_reason(
    tmp_path: Path, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    async with Emulator() as good, Emulator(fail="503") as failing, Emulator(fail="400") as refusing:
        place = Place(tmp_path, [each.url for each in (good, failing, refusing)])
        with place.state:
            made = await place.report(facts)
            await place.deliver()
            events = len(made.report.events)
            kept, waiting, refused = place.installation.configured.values()
            async with place.listener() as health:
                found = await scrape(client, health)
                assert found["events_total", (kept, "delivered")] == events
                assert found["events_total", (waiting, "delivered")] == 0
                assert found["queue_events", (waiting,)] == events
                assert found["queue_batches", (waiting,)] == -(-events // 25)
                assert found["queue_bytes", (waiting,)] > 1000
                assert found["queue_age_seconds", (waiting,)] == 0
                assert found["destination_failing", (waiting,)] == 1
                assert found["events_total", (refused, "rejected")] == events
                assert found["last_delivery_timestamp_seconds", (kept,)] == NOW / 1e6
                assert ("last_delivery_timestamp_seconds", (waiting,)) not in found
                for name in (kept, refused):
                    assert found["queue_events", (name,)] == found["queue_age_seconds", (name,)] == 0

                place.hands.pass_time(HOUR)
                assert (await scrape(client, health))["queue_age_seconds", (waiting,)] == 3600
                place.hands.pass_time(4 * DAY)
                await place.deliver()
                found = await scrape(client, health)
                assert found["events_total", (waiting, "expired")] == events
                assert found["queue_events", (waiting,)] == 0


async def test_scrapers_that_ask_for_openmetrics_get_it(
    place: Place, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    await place.report(facts)
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
    async with place.listener() as health:
        answer = await client.get(f"{health.address}/metrics", headers=accept)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = list(parse_openmetrics(answer.text))
    assert samples(families)["reports_total", ()] == 1
    assert all(family.documentation for family in families)


async def test_hostile_names_do_not_break_the_format(tmp_path: Path, client: httpx.AsyncClient) -> None:
    place = Place(tmp_path)
    evil = 'x"} 1\n# HELP evil\\ <b>'
    query = "INSERT INTO destinations (key, name, failing_since) VALUES (?, ?, 1)"
    place.state.database.write(lambda connection: connection.execute(query, (evil, evil)))
    with place.state:
        async with place.listener() as health:
            found = await scrape(client, health)
    assert found["destination_failing", (evil,)] == 1


async def test_the_registry_of_the_process_stays_as_it_was(place: Place, client: httpx.AsyncClient) -> None:
    before = prometheus_client.generate_latest()
    async with place.listener() as health:
        first, second = await scrape(client, health), await scrape(client, health)
    assert first.keys() == second.keys()
    assert ("process_resident_memory_bytes", ()) in first
    names = {line.split()[2] for line in before.decode().splitlines() if line.startswith("# HELP")}
    after = prometheus_client.generate_latest().decode()
    assert {line.split()[2] for line in after.splitlines() if line.startswith("# HELP")} == names
    assert "mongooseim_bridge" not in after


async def test_destinations_of_the_same_name_are_told_apart_by_their_ids(
    tmp_path: Path, client: httpx.AsyncClient
) -> None:
    place = Place(tmp_path)
    query = "INSERT INTO destinations (key, name) VALUES (?, ?)"
    for key in ("G-TEST1 http://relay/one", "G-TEST1 http://relay/two"):
        place.state.database.write(lambda connection, key=key: connection.execute(query, (key, "G-TEST1 at relay")))
    with place.state:
        async with place.listener() as health:
            found = await scrape(client, health)
    assert {labels for name, labels in found if name == "queue_events"} == {
        ("G-TEST1 http://relay/one",),
        ("G-TEST1 http://relay/two",),
    }


async def test_what_google_says_it_has_processed_is_shown(
    place: Place, client: httpx.AsyncClient, facts: ClusterFacts
) -> None:
    made = await place.report(facts)
    place.take(Processed(2, "a violation"))
    async with place.listener() as health:
        found = await scrape(client, health)
    told = {labels[-1]: value for (name, labels), value in found.items() if name == "processing_events"}
    assert told == {"processed": len(made.report.events) - 2, "failed": 2, "unknown": 0}
