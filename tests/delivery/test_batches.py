"""A report is cut into requests exactly as GA4 takes them: its limits, its required params, its order."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bridge.delivery.batches import Batch, Location, batches
from bridge.delivery.errors import LimitError
from bridge.emulator.validator import judge
from bridge.report.model import Event, Report
from tests.delivery.support import NOW, report


def decoded(batch: Batch) -> dict[str, object]:
    body: dict[str, object] = json.loads(batch.body)
    return body


def test_a_request_has_the_client_the_time_and_the_events_and_nothing_else() -> None:
    (batch,) = batches(report(1, NOW))
    assert decoded(batch) == {
        "client_id": "12.34",
        "timestamp_micros": NOW,
        "events": [
            {
                "name": "module_with_opt",
                "params": {"module": "x.0", "session_id": "1700000000", "engagement_time_msec": 100},
            }
        ],
    }


def test_a_location_is_sent_as_far_as_it_is_configured() -> None:
    (batch,) = batches(report(1, NOW), Location("PL", "PL-12", "Kraków"))
    assert decoded(batch)["user_location"] == {"country_id": "PL", "region_id": "PL-12", "city": "Kraków"}
    (batch,) = batches(report(1, NOW), Location(country="PL"))
    assert decoded(batch)["user_location"] == {"country_id": "PL"}
    (batch,) = batches(report(1, NOW), Location())
    assert "user_location" not in decoded(batch)


def test_batches_have_at_most_25_events_and_say_which() -> None:
    cut = batches(report(51, NOW))
    assert [(batch.first, batch.events) for batch in cut] == [(0, 25), (25, 25), (50, 1)]
    assert [len(decoded(batch)["events"]) for batch in cut] == [25, 25, 1]  # type: ignore[arg-type]


def test_a_report_without_events_needs_no_request() -> None:
    assert batches(report(0, NOW)) == ()


def test_all_events_of_a_report_are_one_session() -> None:
    sessions = {
        event["params"]["session_id"] for batch in batches(report(60, NOW)) for event in decoded(batch)["events"]
    }  # type: ignore[attr-defined]
    assert sessions == {"1700000000"}


def test_a_report_that_breaks_a_limit_is_refused_whole() -> None:
    with pytest.raises(LimitError, match=r"'host_count', param 'value'.*boolean"):
        batches(replace(report(3, NOW), events=(Event("host_count", {"value": True}),)))


_NAMES = st.from_regex(r"\Ap[a-z0-9_]{0,38}\Z")
_VALUES = (
    st.text(st.characters(exclude_categories=["Cs"]), max_size=100)
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
_EVENTS = st.builds(Event, _NAMES, st.dictionaries(_NAMES, _VALUES, max_size=3))


@settings(max_examples=40)
@given(st.lists(_EVENTS, max_size=30), st.builds(Location, city=st.none() | st.text("äb ", min_size=1, max_size=100)))
def test_batches_carry_every_event_in_order_and_are_accepted(events: list[Event], location: Location) -> None:
    cut = batches(Report("1.2", NOW, tuple(events), {}), location)
    carried = []
    for batch in cut:
        assert len(batch.body) <= 120_000
        assert batch.first == len(carried)
        verdict = judge(batch.body, NOW)
        assert [event.reasons for event in verdict.events] == [()] * batch.events
        carried += [
            Event(
                event["name"],
                {k: v for k, v in event["params"].items() if k not in {"session_id", "engagement_time_msec"}},
            )
            for event in json.loads(batch.body)["events"]
        ]
    assert carried == events


def test_large_events_are_split_by_bytes_just_below_the_limit() -> None:
    wide = Event("wide", {f"p{number}": "\N{SNOWMAN}" * 100 for number in range(23)})
    cut = batches(Report("1.2", NOW, (wide,) * 100, {}))
    assert sum(batch.events for batch in cut) == 100
    one = len(batches(Report("1.2", NOW, (wide,), {}))[0].body)
    for batch in cut[:-1]:
        assert 120_000 - one < len(batch.body) <= 120_000
