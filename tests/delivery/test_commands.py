"""`status`, `history` and `validate`: what waits, what became of past reports, what GA4 would say."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from bridge.state.state import State
from bridge.state.status import ServiceStatus
from bridge.times import distance, moment
from tests.delivery.support import HOUR, NOW, answering, destination, keep, report, send_all, tcp_server, unused_port
from tests.support.bridge import API_SECRET, Bridge
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster

DEAD_END = "http://127.0.0.1:1/mp/collect"


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "now"),
        (-1, "now"),
        (59_000_000, "in 59 s"),
        (-60_000_000, "1 min ago"),
        (5 * HOUR, "in 5 h"),
        (-49 * HOUR, "2 d ago"),
    ],
)
def test_distances_have_their_largest_unit(microseconds: int, text: str) -> None:
    assert distance(NOW + microseconds, NOW) == text


def test_moments_are_utc() -> None:
    assert moment(NOW) == "2023-11-14T22:13:20Z"
    assert moment(10**25) is not None


def test_before_the_first_report_there_is_nothing_and_that_is_no_failure(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path, {}, (DEAD_END,))
    shown = bridge.run("status")
    assert shown.code == 0
    assert "reporting: on, report = true" in shown.out
    assert "last report: none yet" in shown.out
    assert "G-AAAA1 at 127.0.0.1:1" in shown.out
    status = bridge.run("status", "--format", "json").json()
    assert (status["reports"], status["service"]) == ([], None)
    assert [(row["name"], row["queued_events"], row["configured"]) for row in status["destinations"]] == [
        ("G-AAAA1 at 127.0.0.1:1", 0, True)
    ]
    assert bridge.run("history", "--format", "json").json()["reports"] == []
    assert bridge.run("history").code == 0
    missing = bridge.run("history", "show", "1")
    assert (missing.code, missing.out) == (2, "")
    assert "there is no report 1" in missing.err
    assert not bridge.state_dir.exists(), "looking creates nothing"


async def test_status_and_history_tell_what_waits_what_was_refused_and_why(tmp_path: Path) -> None:
    async with tcp_server(answering(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")) as refusing:
        bridge = Bridge(tmp_path, {}, (f"http://127.0.0.1:{unused_port()}/mp/collect", refusing.url))
        down, bad = (destination(endpoint, f"G-AAAA{n}") for n, endpoint in enumerate(bridge.endpoints, 1))
        gone = destination(DEAD_END, "G-GONE1")
        with State.open(bridge.state_dir) as store:
            number = keep(store, report(30), [down, bad, gone])
            await send_all(store, [down, bad], seconds=1.2, uniform=lambda least, most: 60.0)
            store.keep_service(ServiceStatus("1.0", NOW, NOW, 60.0, "report = true", next_report_at=NOW))
    shown = bridge.run("status")
    assert shown.code == 0
    assert re.search(rf"last report: {number}, .* 30 events from 1 nodes", shown.out)
    assert re.search(r"G-AAAA1 .* 30 .* failing\n", shown.out)
    assert re.search(r"G-AAAA1 .*: last error \(.*\): http://127\.0\.0\.1:\d+ cannot be connected to: conn", shown.out)
    assert re.search(r"G-AAAA2 .*: last error \(.*\): .*answered 400 Bad Request", shown.out)
    assert "G-GONE1 at 127.0.0.1:1 (not configured)" in shown.out
    assert "next report: 2023-11-14T22:13:20Z" in shown.out
    rows = {row["name"].split()[0]: row for row in bridge.run("status", "--format", "json").json()["destinations"]}
    assert (rows["G-AAAA1"]["queued_events"], rows["G-AAAA1"]["counters"]) == (30, {})
    assert (rows["G-AAAA2"]["queued_events"], rows["G-AAAA2"]["counters"]) == (0, {"rejected": 30})
    listed = bridge.run("history")
    assert re.search(r"G-AAAA1 .*: 30 queued; G-AAAA2 .*: 30 rejected; G-GONE1 .*: 30 queued", listed.out)
    one = bridge.run("history", "show", str(number))
    assert "events 25 to 29 not taken" in one.out
    assert "module=x.29" in one.out
    assert "note: a note" in one.out
    whole = bridge.run("history", "show", str(number), "--format", "json").json()
    assert whole["events"] == [{"name": event.name, "params": event.params} for event in report(30).events]
    assert [letter["first"] for letter in whole["dead_letters"]] == [0, 25]
    assert bridge.run("history", "show", "99").code == 2


def test_status_works_with_reporting_off_and_for_who_cannot_read_the_secret(tmp_path: Path) -> None:
    bridge = Bridge(tmp_path, {}, (DEAD_END,))
    assert "reporting: off, DO_NOT_TRACK" in bridge.run("status", DO_NOT_TRACK="1").out
    (tmp_path / "api-secret").unlink()
    shown = bridge.run("status")
    assert (shown.code, shown.err) == (0, "")
    assert "G-AAAA1" in shown.out


def test_the_validator_takes_the_report_and_records_nothing(tmp_path: Path, default_cluster: StubCluster) -> None:
    with running_emulator(tmp_path / "record") as emulator:
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (emulator.url,))
        (judged,) = bridge.run("validate", "--format", "json").json()["destinations"]
        assert emulator.events() == []
    objections = {(message["event"], message["field"]) for message in judged["messages"]}
    assert objections <= {(None, "client_id")}, "at most that the cluster's id is not of the usual form"
    assert judged["error"] is None
    assert judged["requests"] > 1
    assert not bridge.state_dir.exists()


def test_what_is_no_validator_or_cannot_be_reached_is_told(tmp_path: Path, default_cluster: StubCluster) -> None:
    relay = DEAD_END.removesuffix("/mp/collect") + "/relay"
    bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (DEAD_END, relay))
    result = bridge.run("validate")
    assert result.code == 1
    first, second = result.out.splitlines()
    assert "connection refused" in first
    assert "has no validator" in second
    assert API_SECRET not in result.out + result.err


def test_validate_sends_nothing_without_consent_or_destination(tmp_path: Path) -> None:
    assert Bridge(tmp_path, {}, (DEAD_END,)).run("validate", DO_NOT_TRACK="1").code == 4
    without = Bridge(tmp_path, {}).run("validate")
    assert without.code == 2
    assert "no destination" in without.err
