"""Everything that GA4 would drop without a word is refused by name before it is queued."""

import pytest

from bridge.delivery.errors import LimitError
from bridge.delivery.limits import check
from bridge.report.model import Event

CLIENT = "1.2"


def broken(name: str = "host_count", **params: object) -> list[tuple[str | None, str | None]]:
    return [(found.event, found.param) for found in check(CLIENT, [Event(name, params)])]  # type: ignore[arg-type]


def test_an_event_of_the_report_breaks_nothing() -> None:
    assert broken("cluster", version="6.3.0", uptime_seconds=3, load=0.5, empty="") == []


@pytest.mark.parametrize("name", ["a" * 40, "A1_", "errors", "gadget", "firebase"])
def test_names_that_ga4_takes_pass(name: str) -> None:
    assert broken(name, **{name: 1}) == []


@pytest.mark.parametrize(
    "name", ["", "a" * 41, "1a", "_a", "a-b", "a b", "ä", "a\n", "ga_x", "google_x", "firebase_x", "gtag.x"]
)
def test_names_that_ga4_drops_are_refused_for_events_and_params(name: str) -> None:
    assert broken(name) == [(name, None)]
    assert broken("host_count", **{name: 1}) == [("host_count", name)]


@pytest.mark.parametrize("name", ["error", "session_start", "first_visit", "user_engagement", "app_exception"])
def test_reserved_event_names_are_refused(name: str) -> None:
    assert broken(name, value=1) == [(name, None)]


@pytest.mark.parametrize("name", ["session_id", "engagement_time_msec", "firebase_conversion"])
def test_params_that_are_added_or_reserved_are_refused(name: str) -> None:
    assert broken("host_count", **{name: 1}) == [("host_count", name)]


@pytest.mark.parametrize("value", ["x" * 100, "ü" * 100, 0, -(2**63), 2**63 - 1, 1e308, -0.5])
def test_strings_and_finite_numbers_pass(value: object) -> None:
    assert broken(value=value) == []


@pytest.mark.parametrize(
    "value",
    [True, False, None, float("nan"), float("inf"), -float("inf"), "x" * 101, 2**63, [1], {"a": 1}, b"x", "\ud800"],
)
def test_every_other_value_is_refused(value: object) -> None:
    assert broken(value=value) == [("host_count", "value")]


def test_the_two_params_that_are_added_leave_room_for_twenty_three() -> None:
    assert broken(**{f"p{number}": 1 for number in range(23)}) == []
    assert broken(**{f"p{number}": 1 for number in range(24)}) == [("host_count", None)]


@pytest.mark.parametrize("client_id", ["", "a\nb"])
def test_a_client_id_is_printable_text(client_id: str) -> None:
    assert [(found.event, found.param) for found in check(client_id, [])] == [(None, None)]


def test_every_violation_is_named_with_event_param_and_limit() -> None:
    events = [Event("error", {"value": True}), Event("host_count", {"x" * 50: 1})]  # type: ignore[dict-item]
    text = str(LimitError(check(CLIENT, events)))
    lines = text.splitlines()
    assert len(lines) == 3
    assert "'error'" in lines[0]
    assert "reserved" in lines[0]
    assert "param 'value'" in lines[1]
    assert "boolean" in lines[1]
    assert "at most 40 characters, this one 50" in lines[2]
    assert "x" * 50 not in text
