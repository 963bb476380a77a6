"""`history` over time: a span of it, as CSV, the difference of two reports, and one sent again within 72 hours."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest

from bridge.report.model import Event, Report
from bridge.state.state import State
from bridge.times import MICROSECONDS, Clock, parse_moment, system_clock
from tests.support.bridge import Bridge
from tests.support.emulator import running_emulator

if TYPE_CHECKING:
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster

DAY = 86_400 * MICROSECONDS
NOW = 1_800_000_000 * MICROSECONDS


def keep(bridge: Bridge, *days_ago: float) -> None:
    """Reports of some days ago, for no destination, each with one module more than the one before."""
    now = system_clock()
    for number, days in enumerate(days_ago, 1):
        at = now.wall() - int(days * DAY)
        modules = tuple(
            Event("module_with_opt", {"module": f"mod_{each}", "backend": "rdbms"}) for each in range(number)
        )
        report = Report("1.2", at, (Event("host_count", {"value": number}), *modules), {}, {f"node{number}@h": "6.8.0"})
        with State.open(bridge.state_dir, clock=Clock(lambda at=at: at, now.elapsed, now.boot)) as state:  # type: ignore[misc]
            state.published(state.add(report))


@pytest.fixture
def kept(tmp_path: Path) -> Bridge:
    bridge = Bridge(tmp_path / "bridge", {})
    keep(bridge, 5, 3, 1)
    return bridge


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ((), [3, 2, 1]),
        (("--since", "4d"), [3, 2]),
        (("--until", "48h"), [2, 1]),
        (("--since", "4d", "--until", "2880min"), [2]),
        (("--since", "2020-01-31", "--limit", "1"), [3]),
        (("--until", "2020-01-31T12:00:00+02:00"), []),
    ],
)
def test_a_span_of_time(kept: Bridge, arguments: tuple[str, ...], ids: list[int]) -> None:
    assert [one["id"] for one in kept.run("history", *arguments, "--format", "json").json()["reports"]] == ids


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2027-01-15", 1_799_971_200),
        ("2027-01-15T08:00:00", 1_800_000_000),
        ("2027-01-15T08:00:00Z", 1_800_000_000),
        ("2027-01-15T09:00:00+01:00", 1_800_000_000),
        ("90s", 1_799_999_910),
        ("2d", 1_799_827_200),
    ],
)
def test_times_as_people_write_them(text: str, moment: int) -> None:
    assert parse_moment(text, NOW) == moment * MICROSECONDS


def test_csv_has_a_row_for_each_report_and_destination(bridge: Bridge) -> None:
    bridge.endpoints = (*bridge.endpoints, "http://127.0.0.1:1/mp/collect")
    bridge.configure()
    assert bridge.run("report", MONGOOSEIM_BRIDGE_DELIVER_TIMEOUT="500").code == 1
    taken, queued = csv.DictReader(io.StringIO(bridge.run("history", "--format", "csv").out))
    assert (taken["id"], queued["id"]) == ("1", "1")
    assert taken["delivered"] == queued["queued"] == taken["events"]
    assert queued["destination"] == "G-AAAA2 at 127.0.0.1:1"
    assert "connection refused" in queued["error"]


def test_the_difference_of_two_reports(kept: Bridge) -> None:
    shown = kept.run("history", "diff", "1", "3").out
    assert "joined: node3@h\nleft: node1@h\n" in shown
    assert "report 1" in shown.splitlines()[2]
    changed = {
        one["subject"] or one["event"]: one
        for one in kept.run("history", "diff", "1", "3", "--format", "json").json()["changes"]
    }
    assert changed.keys() == {"host_count", "mod_1", "mod_2"}
    assert (changed["host_count"]["before"], changed["host_count"]["after"]) == (["value 1"], ["value 3"])
    assert (changed["mod_2"]["before"], changed["mod_2"]["after"]) == ([], ["backend rdbms"])
    assert kept.run("history", "diff", "2", "2").out == "no event differs\n"


def test_what_was_refused_is_sent_again_once(default_cluster: StubCluster, tmp_path: Path) -> None:
    with running_emulator(tmp_path / "record", "--fail", "ok*1", "--fail", "400") as emulator:
        bridge = Bridge(tmp_path / "bridge", default_cluster.environ, (emulator.url,))
        refused = bridge.run("report")
        assert refused.code == 1
        assert "rejected" in refused.out
        emulator.fail("")
        again = bridge.run("history", "resend", "1")
        assert again.code == 0, again.err
        (delivery,) = bridge.run("history", "show", "1", "--format", "json").json()["report"]["deliveries"]
        assert (delivery["delivered"], delivery["rejected"]) == (delivery["events"], 0)
        sent = sorted(repr((event["name"], sorted(event["params"].items()))) for event in emulator.accepted())
        assert len(sent) == delivery["events"] == len(bridge.json_log)
        assert "nothing was refused" in bridge.run("history", "resend", "1").err


def test_what_was_given_up_after_a_time_out_can_be_sent_again(default_cluster: StubCluster, tmp_path: Path) -> None:
    with running_emulator(tmp_path / "record", "--fail", "cut") as emulator:
        bridge = Bridge(
            tmp_path / "bridge", default_cluster.environ, (emulator.url,), settings='ambiguous_timeout = "drop"'
        )
        assert "dropped" in bridge.run("report").out
        emulator.fail("")
        assert bridge.run("history", "resend", "1").code == 0
        assert bridge.run("status").out.count("ambiguous") == 1


def test_ga4_takes_no_report_that_is_older_than_72_hours(kept: Bridge) -> None:
    done = kept.run("history", "resend", "2")
    assert (done.code, done.out) == (2, "")
    assert "report 2 was collected 3 d ago: GA4 takes events for 72 hours" in done.err
    assert "there is no report 9" in kept.run("history", "resend", "9").err
    assert kept.run("history", "resend", "3", DO_NOT_TRACK="1").code == 4
