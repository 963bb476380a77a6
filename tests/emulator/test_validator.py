"""The validator's rules, one table; numbers and texts are those of Google's Measurement Protocol pages."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.emulator.validator import judge

NOW = 1_750_000_000_000_000
HOUR = 3_600_000_000
CODES = set(
    "VALUE_INVALID VALUE_REQUIRED NAME_INVALID NAME_RESERVED VALUE_OUT_OF_BOUNDS EXCEEDED_MAX_ENTITIES "
    "NAME_DUPLICATED".split()
)


def payload(**fields: Any) -> bytes:
    return json.dumps({"client_id": "1.2", "events": [event()], **fields}).encode()


def event(name: Any = "host_count", **params: Any) -> dict[str, Any]:
    return {"name": name, "params": {"session_id": "1", "engagement_time_msec": 100, **params}}


def strict(**fields: Any) -> bytes:
    return payload(validation_behavior="ENFORCE_RECOMMENDATIONS", **fields)


GOOD = [
    payload() + b" " * (129_999 - len(payload())),
    strict(),
    strict(events=[event("Host_Count_9", value=1.5, module="mod_mam", session_id=1750000000)]),
    strict(events=[event("x" * 40, **{"y" * 40: "z" * 100})] * 25),
    strict(events=[event(**{f"p{number}": number for number in range(23)})]),
    strict(timestamp_micros=NOW - 72 * HOUR),
    strict(events=[{**event(), "timestamp_micros": NOW}]),
    strict(events=[{**event(), "timestamp_micros": f"{NOW}"}], timestamp_micros=f"{NOW}"),  # Google's own event builder
    strict(user_location={"city": "Kraków", "region_id": "PL-12", "country_id": "PL", "continent_id": "150"}),
    strict(user_properties={"x" * 24: {"value": "y" * 36}}, user_id="somebody", consent={"ad_user_data": "DENIED"}),
    strict(events=[event("purchase", items=[{"item_id": "1", "price": 2.5}])]),
]


@pytest.mark.parametrize("body", GOOD)
def test_what_keeps_to_the_rules_has_no_message_and_is_taken(body: bytes) -> None:
    verdict = judge(body, NOW)
    assert verdict.messages == ()
    assert all(not event.reasons and not event.warnings for event in verdict.events)


PUBLISHED = [
    (
        payload(events=[event("_badEventName")]),
        "events",
        "Event at index: [0] has invalid name [_badEventName]. Names must start with an alphabetic character.",
        "NAME_INVALID",
    ),
    (
        payload(events=[event(), event("campaign@details")]),
        "events",
        "Event at index: [1] has invalid name [campaign@details]. "
        "Only alphanumeric characters and underscores are allowed.",
        "NAME_INVALID",
    ),
    (json.dumps({"events": [event()]}).encode(), "client_id", "Measurement requires a client_id.", "VALUE_REQUIRED"),
    (
        strict(client_id="18"),
        "client_id",
        "client_id [18] has invalid format. It should be in <number>.<number> format.",
        "VALUE_INVALID",
    ),
    (
        payload(events=[{**event(), "names": 1}]),
        None,
        "Unable to parse Measurement Protocol JSON payload. (events[0]) names: Cannot find field.",
        "VALUE_INVALID",
    ),
]


@pytest.mark.parametrize(("body", "path", "text", "code"), PUBLISHED)
def test_the_texts_that_google_publishes_are_given_word_for_word(
    body: bytes, path: str | None, text: str, code: str
) -> None:
    expected = {"description": text, "validationCode": code} | ({"fieldPath": path} if path else {})
    assert judge(body, NOW).messages == (expected,)


DROPS_THE_EVENT = [
    (event(""), "VALUE_REQUIRED", "events"),
    (event("x" * 41), "NAME_INVALID", "events"),
    (event("9lives"), "NAME_INVALID", "events"),
    (event("größe"), "NAME_INVALID", "events"),
    (event("session_start"), "NAME_RESERVED", "events"),
    (event("error"), "NAME_RESERVED", "events"),
    (event(**{"x" * 41: 1}), "NAME_INVALID", f"events[0].params.{'x' * 40}"),
    (event(**{"a-b": 1}), "NAME_INVALID", "events[0].params.a-b"),
    (event(**{"": 1}), "NAME_INVALID", "events[0].params."),
    (event(ga_x=1), "NAME_RESERVED", "events[0].params.ga_x"),
    (event(google_x=1), "NAME_RESERVED", "events[0].params.google_x"),
    (event(firebase_x=1), "NAME_RESERVED", "events[0].params.firebase_x"),
    (event(firebase_conversion=1), "NAME_RESERVED", "events[0].params.firebase_conversion"),
    (event(**{"gtag.x": 1}), "NAME_RESERVED", "events[0].params.gtag.x"),
    (event(_x=1), "NAME_INVALID", "events[0].params._x"),
    (event(value="x" * 101), "VALUE_OUT_OF_BOUNDS", "events[0].params.value"),
    (event(value=None), "VALUE_INVALID", "events[0].params.value"),
    (event(value=[1]), "VALUE_INVALID", "events[0].params.value"),
    (event(value={}), "VALUE_INVALID", "events[0].params.value"),
    (event(items=[1]), "VALUE_INVALID", "events[0].params.items"),
    (event(items=[{}] * 201), "EXCEEDED_MAX_ENTITIES", "events[0].params.items"),
    (event(**{f"p{number}": 1 for number in range(24)}), "EXCEEDED_MAX_ENTITIES", "events[0].params"),
    ({**event(), "timestamp_micros": "now"}, "VALUE_INVALID", "events[0].timestamp_micros"),
    ({**event(), "timestamp_micros": 1.5}, "VALUE_INVALID", "events[0].timestamp_micros"),
    ({**event(), "timestamp_micros": ""}, "VALUE_INVALID", "events[0].timestamp_micros"),
    ({**event(), "timestamp_micros": f"{NOW}\n"}, "VALUE_INVALID", "events[0].timestamp_micros"),
    ({**event(), "timestamp_micros": "9" * 5_000}, "VALUE_INVALID", "events[0].timestamp_micros"),
]


@pytest.mark.parametrize(("bad", "code", "path"), DROPS_THE_EVENT)
def test_a_bad_event_is_dropped_and_its_neighbour_is_taken(bad: dict[str, Any], code: str, path: str) -> None:
    verdict = judge(payload(events=[bad, event()]), NOW)
    dropped, taken = verdict.events
    assert [(each["validationCode"], each["fieldPath"]) for each in verdict.messages] == [(code, path)]
    assert [text.partition(":")[0] for text in dropped.reasons] == [code]
    assert taken.reasons == ()


DROPS_THE_REQUEST = [
    (b"", "VALUE_INVALID"),
    (b"{", "VALUE_INVALID"),
    (b"[]", "VALUE_INVALID"),
    (b"\xff\xfe", "VALUE_INVALID"),
    (b"[" * 100_000, "VALUE_INVALID"),
    (b'{"client_id": "1.2", "events": [{"name": "a", "params": {"x": NaN}}]}', "VALUE_INVALID"),
    (payload(clientId="1.2"), "VALUE_INVALID"),
    (payload(client_id=12), "VALUE_INVALID"),
    (payload(client_id=""), "VALUE_REQUIRED"),
    (payload(events=[]), "VALUE_REQUIRED"),
    (payload(events=None), "VALUE_REQUIRED"),
    (payload(events={}), "VALUE_INVALID"),
    (payload(events=[1]), "VALUE_INVALID"),
    (payload(events=[{"name": 1}]), "VALUE_INVALID"),
    (payload(events=[{"name": "a", "params": []}]), "VALUE_INVALID"),
    (payload(events=[event()] * 26), "EXCEEDED_MAX_ENTITIES"),
    (payload(validation_behavior="STRICT"), "VALUE_INVALID"),
    (payload(timestamp_micros=True), "VALUE_INVALID"),
    (payload(user_location="PL"), "VALUE_INVALID"),
    (payload(user_location={"country": "PL"}), "VALUE_INVALID"),
    (payload(user_properties={"x": {"value": None}}), "VALUE_INVALID"),
    (payload(user_properties={"x": {"value": "y" * 37}}), "VALUE_OUT_OF_BOUNDS"),
    (payload(user_properties={"x" * 25: {"value": 1}}), "NAME_INVALID"),
    (payload(user_properties={"user_id": {"value": 1}}), "NAME_RESERVED"),
    (payload(user_properties={f"p{number}": {"value": 1} for number in range(26)}), "EXCEEDED_MAX_ENTITIES"),
    (payload() + b" " * (130_000 - len(payload())), "VALUE_OUT_OF_BOUNDS"),
    (payload().replace(b'"name"', b'"name": "a", "name"'), "VALUE_INVALID"),
]


@pytest.mark.parametrize(("body", "code"), DROPS_THE_REQUEST, ids=range(len(DROPS_THE_REQUEST)))
def test_a_bad_request_is_dropped_with_all_its_events(body: bytes, code: str) -> None:
    verdict = judge(body, NOW)
    assert [each["validationCode"] for each in verdict.messages] == [code]
    assert all(event.reasons for event in verdict.events)
    assert verdict.events


def test_only_the_first_unreadable_field_is_told_as_parsers_do() -> None:
    (message,) = judge(json.dumps({"clientId": "1", "eventz": []}).encode(), NOW).messages
    assert message["description"].endswith("clientId: Cannot find field.")


MANY = {
    "events": b'{"client_id": "1.2", "events": [' + b"{}," * 43_000 + b"{}]}",
    "fields": b"{" + b",".join(b'"%d":0' % number for number in range(14_000)) + b"}",
    "params, one of them twice": b'{"client_id": "1.2", "events": [{"params": {'
    + b",".join(b'"%d":0' % number for number in range(12_000))
    + b',"0":0}}]}',
}


@pytest.mark.parametrize("body", MANY.values(), ids=MANY.keys())
def test_a_payload_made_to_cost_time_is_judged_quickly(body: bytes) -> None:
    assert len(body) < 130_000
    before = time.process_time()
    verdict = judge(body, NOW)
    assert all(event.reasons for event in verdict.events)
    assert time.process_time() - before < 2.0
    assert len(verdict.messages) < 100


def test_a_name_given_twice_is_told_although_parsers_hide_it() -> None:
    twice = b'{"client_id": "1.2", "events": [{"name": "a", "params": {"x": 1, "x": 2, "session_id": "1"}}]}'
    (message,) = judge(twice, NOW).messages
    assert (message["validationCode"], "[x]" in message["description"]) == ("NAME_DUPLICATED", True)


def test_a_number_too_large_to_be_finite_is_dropped() -> None:
    (message,) = judge(payload(events=[event(value=1)]).replace(b'"value": 1', b'"value": 1e999'), NOW).messages
    assert (message["validationCode"], message["fieldPath"]) == ("VALUE_INVALID", "events[0].params.value")


ONLY_RECOMMENDED = [
    {"client_id": "18"},
    {"client_id": "8cb3a5f0-0000-4000-8000-000000000000"},
    {"timestamp_micros": NOW - 72 * HOUR - 1},
    {"timestamp_micros": NOW + HOUR},
    {"timestamp_micros": 10**400},
    {"events": [event(value=True)]},
    {"events": [event(session_id="abc")]},
    {"events": [event(session_id=1.5)]},
    {"events": [event(engagement_time_msec=0)]},
    {"events": [event(engagement_time_msec="soon")]},
    {"user_location": {"country_id": "Poland"}},
    {"user_location": {"region_id": "Lesser Poland"}},
]


@pytest.mark.parametrize("fields", ONLY_RECOMMENDED, ids=str)
def test_recommendations_are_warnings_until_enforced(fields: dict[str, Any]) -> None:
    relaxed, enforced = judge(payload(**fields), NOW), judge(strict(**fields), NOW)
    assert (relaxed.messages, relaxed.events[0].reasons) == ((), ())
    assert [each["validationCode"] for each in enforced.messages] == ["VALUE_INVALID"]
    assert relaxed.events[0].warnings == enforced.events[0].reasons != ()


def test_missing_session_params_are_warned_of_but_never_told_nor_enforced() -> None:
    verdict = judge(strict(events=[{"name": "a", "params": {}}]), NOW)
    assert (verdict.messages, verdict.events[0].reasons) == ((), ())
    session, engagement = verdict.events[0].warnings
    assert "has no [session_id]" in session
    assert "has no [engagement_time_msec]" in engagement


def test_the_event_s_own_timestamp_comes_before_the_request_s() -> None:
    events = [{**event(), "timestamp_micros": f"{NOW - 5}"}, event()]
    verdict = judge(payload(events=events, timestamp_micros=NOW - 9), NOW)
    assert [each.timestamp_micros for each in verdict.events] == [NOW - 5, NOW - 9]


FIELDS = ["client_id", "events", "timestamp_micros", "user_properties", "user_location", "validation_behavior", "x"]
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["name", "params", "timestamp_micros", "session_id", "value", "_a"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_whatever_the_payload_there_is_a_verdict(root: dict[str, Any]) -> None:
    verdict = judge(json.dumps(root).encode(), NOW)
    assert {each["validationCode"] for each in verdict.messages} <= CODES
    assert bool(verdict.messages) == any(event.reasons for event in verdict.events)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_with_a_message(body: bytes) -> None:
    assert judge(body, NOW).messages
