"""Whatever holds the events, the same answers; what cannot be read is one clear line or costs itself only."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.fleet import local
from bridge.fleet.questions import FleetError
from tests.fleet.support import Exported, answers, late, on, report, write_lines

DAY = date(2026, 11, 1)


def installation(number: int, day: date, increment: int = 7) -> list[Exported]:
    backend = ("rdbms", "cassandra", "elasticsearch")[number % 3]
    return report(
        f"client-{number}",
        on(day),
        ("host_count", {"value": number % 4 + 1}),
        ("cluster", {"version": f"6.{number % 2 + 7}.0", "component": 1, "node_number": 1, "uptime": f"{number}"}),
        ("module_with_opt", {"module": "mod_mam", "backend": backend}),
        ("xmpp_stanza_count", {"stanza_type": "xmppMessageSent", "total": 9, "increment": increment}),
    )


@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_events_that_arrive_twice_or_late_change_no_answer(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    events = [
        event
        for number in range(12)
        for days in range(10)
        for event in installation(number, DAY + timedelta(days=days))
    ]
    doubled = data.draw(st.lists(st.sampled_from(events), max_size=20))
    moved = data.draw(st.lists(st.tuples(st.sampled_from(range(len(events))), st.integers(1, 3)), max_size=20))
    changed = list(events)
    for index, days in moved:
        changed[index] = late(events[index], days)
    folder = tmp_path_factory.mktemp("export")

    days = {"first": DAY, "last": DAY + timedelta(days=9)}
    plain = answers(write_lines(folder / "a", events), **days)
    assert answers(write_lines(folder / "b", changed + doubled), **days) == plain


def test_the_table_of_a_day_that_is_not_over_is_left_out(tmp_path: Path) -> None:
    write_lines(tmp_path, installation(1, DAY))
    (tmp_path / "events_intraday_20261102.json").write_text(
        "".join(f"{json.dumps(event.row())}\n" for event in installation(2, DAY + timedelta(days=1)))
    )

    assert [row[2] for row in answers(tmp_path, "versions")["versions"]] == [1]


def test_reports_of_bridges_are_read_as_an_export_is(tmp_path: Path) -> None:
    names = count()
    for number, kind in enumerate([_json_log, _history, _record]):
        text = kind([event for event in installation(number, DAY) if event.name != "xmpp_stanza_count"])
        (tmp_path / f"{next(names)}.json").write_text(text)

    assert {row[:3] for row in answers(tmp_path, "backends")["backends"]} == {
        ("mod_mam", "rdbms", 1),
        ("mod_mam", "cassandra", 1),
        ("mod_mam", "elasticsearch", 1),
    }


def _json_log(events: list[Exported]) -> str:
    return json.dumps([{"name": event.name, "params": event.params} for event in events], indent=2)


def _history(events: list[Exported]) -> str:
    listed = [{"name": event.name, "params": event.params} for event in events]
    whole = {"id": 1, "client_id": events[0].installation, "collected_at": events[0].at.isoformat()}
    return json.dumps({"schema_version": 1, "report": whole, "events": listed}, indent=2)


def _record(events: list[Exported]) -> str:
    lines = [
        {
            "number": number,
            "received": event.at.isoformat(),
            "measurement_id": "G-TEST",
            "client_id": event.installation,
            "name": event.name,
            "params": event.params,
            "timestamp_micros": None,
        }
        for number, event in enumerate(events)
    ]
    return "".join(f"{json.dumps(line)}\n" for line in lines)


@pytest.mark.parametrize("name", ["events_20261101.json", "record.jsonl"])
def test_a_broken_line_costs_itself_and_is_counted(tmp_path: Path, name: str) -> None:
    events = installation(0, DAY)
    lines = [json.dumps(event.row()) for event in events] if name.startswith("events") else _record(events).splitlines()
    (tmp_path / name).write_text("\n".join([lines[0], '{"event_name": "clus', *lines[1:], "[1, 2"]) + "\n")

    assert local.ask(tmp_path, [], 1).unreadable == 2
    assert [row[1] for row in answers(tmp_path, "versions")["versions"]] == ["6.7.0"]


def _empty(folder: Path) -> None:
    folder.mkdir()


def _foreign(folder: Path) -> None:
    folder.mkdir()
    (folder / "package.json").write_text('{"name": "something"}')


def _lacking(folder: Path) -> None:
    folder.mkdir()
    rows = [event.row() for event in installation(0, DAY)]
    (folder / "events_20261101.json").write_text(
        "".join(
            json.dumps({key: value for key, value in row.items() if key != "user_pseudo_id"}) + "\n" for row in rows
        )
    )


def _no_parquet(folder: Path) -> None:
    folder.mkdir()
    (folder / "events_20261101.parquet").write_bytes(b"PAR1 is what it is not")


def _absent(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_absent, "is not a folder"),
        (_empty, "no file in"),
        (_foreign, "no file in"),
        (_lacking, "lacks user_pseudo_id"),
        (_no_parquet, "cannot be read as an export"),
    ],
)
def test_a_folder_that_is_no_export_is_one_clear_line(tmp_path: Path, make: Callable[[Path], None], words: str) -> None:
    make(tmp_path / "export")

    with pytest.raises(FleetError, match=words) as caught:
        answers(tmp_path / "export")
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


def test_days_without_events_name_those_with(tmp_path: Path) -> None:
    write_lines(tmp_path, installation(0, DAY))

    with pytest.raises(FleetError, match="2026-11-01 to 2026-11-01") as caught:
        answers(tmp_path, first=date(2026, 12, 1), last=date(2026, 12, 2))
    assert "there is no event from 2026-12-01" in caught.value.what
