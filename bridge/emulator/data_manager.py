"""The Data Manager API v1: events taken or refused as a whole, with each violation, and what became of them later.

Source: developers.google.com/data-manager/api/reference/rest
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from bridge.delivery.limits import PARAMS_PER_EVENT, VALUE_LENGTH
from bridge.emulator.faults import Api
from bridge.emulator.google_json import Message, Refusal, Reply, decode, error_info, missing_role, violations
from bridge.emulator.names import EVENT, PARAM, name_problem
from bridge.emulator.verdict import JudgedEvent, Verdict
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.emulator.ga_property import GaProperty
    from bridge.emulator.google_json import Call

_EVENTS: Final = 2_000
_OLDEST: Final = 72 * 3600
_CLOCK_SKEW: Final = 60
_FIELDS_OF_THEIR_OWN: Final = frozenset({"value", "currency", "transaction_id"})
_CLIENT_ID: Final = re.compile(r"[0-9]+\.[0-9]+")
_REGION: Final = re.compile(r"[A-Z]{2}")
_SUBDIVISION: Final = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")
_TOO_OLD: Final = "PROCESSING_ERROR_REASON_EVENT_TOO_OLD"

_Violation = tuple[str, str, str]


class _Account(Message):
    account_id: str
    account_type: Literal["GOOGLE_ANALYTICS_PROPERTY"]


class _Destination(Message):
    operating_account: _Account
    product_destination_id: str
    login_account: _Account | None = None


class _Parameter(Message):
    parameter_name: str
    value: str


class _Location(Message):
    subdivision_code: str = ""
    region_code: str = ""


class _Event(Message):
    event_name: str = ""
    client_id: str = ""
    event_timestamp: str = ""
    event_source: Literal["WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER", ""] = ""
    event_location: _Location = msgspec.field(default_factory=_Location)
    conversion_value: float | None = None
    additional_event_parameters: tuple[_Parameter, ...] = ()


_Status = Literal["CONSENT_GRANTED", "CONSENT_DENIED"]


class _Consent(Message):
    ad_user_data: _Status | None = None
    ad_personalization: _Status | None = None


class _Request(Message):
    destinations: Annotated[list[_Destination], msgspec.Meta(min_length=1, max_length=1)]
    events: tuple[_Event, ...] = ()
    consent: _Consent | None = None
    validate_only: bool = False


@dataclass(frozen=True, slots=True)
class _Taken:
    """A request that was taken."""

    at: float
    destination: _Destination
    events: int
    too_old: int


class DataManager:
    """The requests that were taken.

    Args:
        processing: seconds from a request until it is processed.
    """

    def __init__(self, processing: float) -> None:
        self._processing = processing
        self._taken: dict[str, _Taken] = {}

    def ingest(self, call: Call) -> Reply:
        """`events:ingest`.

        Raises:
            Refusal: 400 with every violation, 403 for a property of others; nothing is taken then.
        """
        request, now = decode(call.body, _Request), call.now
        (destination,) = request.destinations
        place = call.properties.get(destination.operating_account.account_id)
        if place is None:
            raise missing_role()
        request_id = f"emulated-{len(self._taken) + 1}"
        if broken := [*_of_destination(destination, place), *_of_events(request.events, now)]:
            info = error_info("INVALID_ARGUMENT", domain=Api.DATA_MANAGER.service, requestId=request_id)
            raise Refusal(400, "There was a problem with the request.", info, violations(broken))
        warned = [warning for index, event in enumerate(request.events) for warning in _warnings(index, event)]
        answer = {"requestId": request_id} | ({"fieldWarnings": warned} if warned else {})
        if request.validate_only:
            return Reply({**answer, "requestId": "validated-only"}, place.measurement_id)
        judged = tuple(_judged(event, now) for event in request.events)
        too_old = sum(bool(event.reasons) for event in judged)
        self._taken[request_id] = _Taken(now, destination, len(judged), too_old)
        return Reply(answer, place.measurement_id, Verdict(request.events[0].client_id, judged, ()))

    def status(self, call: Call) -> dict[str, object]:
        """`requestStatus:retrieve`.

        Raises:
            Refusal: 400, no request of that id was taken.
        """
        taken = self._taken.get(call.query.get("requestId", ""))
        if taken is None:
            text = "The request ID is invalid."
            raise Refusal(400, text, violations([("request_id", text, "INVALID_REQUEST_ID")]))
        status: dict[str, object] = {"destination": msgspec.to_builtins(taken.destination)}
        if call.now < taken.at + self._processing:
            status["requestStatus"] = "PROCESSING"
        else:
            failed = "FAILED" if taken.too_old == taken.events else "PARTIAL_SUCCESS"
            status["requestStatus"] = failed if taken.too_old else "SUCCESS"
            status["eventsIngestionStatus"] = {"recordCount": str(taken.events)}
            if taken.too_old:
                status["errorInfo"] = {"errorCounts": [{"recordCount": str(taken.too_old), "reason": _TOO_OLD}]}
        return {"requestStatusPerDestination": [status]}


def _of_destination(destination: _Destination, place: GaProperty) -> Iterator[_Violation]:
    if destination.product_destination_id != place.measurement_id:
        text = "The property has no data stream of this id."
        yield "destinations[0].product_destination_id", text, "INVALID_DESTINATION"


def _of_events(events: tuple[_Event, ...], now: float) -> Iterator[_Violation]:
    if not events:
        yield "events", "At least one event is required.", "REQUIRED_FIELD_MISSING"
    elif len(events) > _EVENTS:
        yield "events", f"At most {_EVENTS} events are allowed.", "TOO_MANY_EVENTS"
    for index, event in enumerate(events[:_EVENTS]):
        yield from ((f"events.events[{index}].{field}", text, why) for field, text, why in _of_event(event, now))


def _of_event(event: _Event, now: float) -> Iterator[_Violation]:
    for field in ("event_name", "event_timestamp", "event_source"):
        if not getattr(event, field):
            yield field, "The field is required.", "REQUIRED_FIELD_MISSING"
    if not event.client_id:
        yield "client_id", "At least one identifier is required.", "NO_IDENTIFIERS_PROVIDED"
    if event.event_name and (problem := name_problem(EVENT, event.event_name)):
        yield "event_name", problem[1], "INVALID_EVENT_NAME"
    at = _time(event)
    if event.event_timestamp and at is None:
        yield "event_timestamp", "The time is not in the form of RFC 3339.", "INVALID_FORMAT"
    elif at and at > now + _CLOCK_SKEW:
        yield "event_timestamp", "The time is in the future.", "EVENT_TIME_INVALID"
    if event.event_source not in ("WEB", ""):
        yield "event_source", "The stream is one of the web.", "EVENT_SOURCE_AND_DESTINATION_MISMATCH"
    if len(event.additional_event_parameters) > PARAMS_PER_EVENT:
        text = f"At most {PARAMS_PER_EVENT} parameters are allowed."
        yield "additional_event_parameters", text, "TOO_MANY_ELEMENTS"
    for index, parameter in enumerate(event.additional_event_parameters):
        path = f"additional_event_parameters[{index}]"
        yield from ((f"{path}.{field}", text, why) for field, text, why in _of_parameter(parameter))


def _of_parameter(parameter: _Parameter) -> Iterator[_Violation]:
    name = parameter.parameter_name
    if name in _FIELDS_OF_THEIR_OWN:
        yield "parameter_name", "The event has a field for it.", "RESERVED_NAME_USED"
    elif problem := name_problem(PARAM, name):
        reserved = problem[0] == "NAME_RESERVED"
        yield "parameter_name", problem[1], "RESERVED_NAME_USED" if reserved else "INVALID_FORMAT"
    if len(parameter.value) > VALUE_LENGTH:
        yield "value", f"At most {VALUE_LENGTH} characters are allowed.", "FIELD_VALUE_TOO_LONG"


def _warnings(index: int, event: _Event) -> Iterator[dict[str, str]]:
    """What is taken without the value that is not good."""
    location, path = event.event_location, f"events.events[{index}]"
    for field, value, form, reason in (
        ("client_id", event.client_id, _CLIENT_ID, "CLIENT_ID"),
        ("event_location.region_code", location.region_code, _REGION, "REGION_CODE"),
        ("event_location.subdivision_code", location.subdivision_code, _SUBDIVISION, "SUBDIVISION_CODE"),
    ):
        if value and not form.fullmatch(value):
            text = "The value is not of the form that is expected."
            yield {"reason": f"WARNING_REASON_INVALID_{reason}", "description": text, "field": f"{path}.{field}"}


def _judged(event: _Event, now: float) -> JudgedEvent:
    """The event as the Measurement Protocol would have brought it; its age is looked at after it was taken."""
    params: dict[str, object] = {each.parameter_name: each.value for each in event.additional_event_parameters}
    if event.conversion_value is not None:
        params["value"] = event.conversion_value
    at = _time(event) or 0.0
    reasons = (f"{_TOO_OLD}: more than 72 hours ago.",) if at < now - _OLDEST else ()
    return JudgedEvent(event.event_name, params, round(at * MICROSECONDS), reasons, ())


def _time(event: _Event) -> float | None:
    try:
        at = datetime.fromisoformat(event.event_timestamp)
    except ValueError:
        return None
    return at.timestamp() if at.tzinfo else None
