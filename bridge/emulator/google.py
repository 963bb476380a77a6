"""Google's own APIs, as far as the bridge asks them: what a request is for, and whether its token is good for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from bridge.emulator import admin, data, google_json
from bridge.emulator.data import Counted
from bridge.emulator.data_manager import DataManager, Ingested
from bridge.emulator.faults import Api, FaultKind
from bridge.emulator.ga_property import GaProperty
from bridge.emulator.google_json import Refusal
from bridge.emulator.tokens import Tokens
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from bridge.emulator.faults import Fault
    from bridge.emulator.record import RecordedEvent
    from bridge.http_server import HttpRequest

_SCOPE: Final = "https://www.googleapis.com/auth/"
_READ: Final = frozenset({f"{_SCOPE}analytics.readonly", f"{_SCOPE}analytics.edit"})
_EDIT: Final = frozenset({f"{_SCOPE}analytics.edit"})
_REPORT: Final = frozenset({f"{_SCOPE}analytics.readonly", f"{_SCOPE}analytics"})
_INGEST: Final = frozenset({f"{_SCOPE}datamanager"})
_OF_A_PROPERTY: Final = re.compile(r"/v1beta/properties/([^/:]+)([/:].+)")


@dataclass(frozen=True, slots=True)
class Method:
    """What a request asks for."""

    api: Api
    scopes: frozenset[str]
    """The token has to have one of them."""
    answer: Callable[[GaProperty], object]
    property_id: str | None = None
    """None where it is for no property."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered."""

    status: int
    value: object
    ingested: Ingested | None = None
    """The events that were taken with it."""


class Google:
    """The APIs over one property, and another one that the caller may read as well.

    Args:
        place: the property.
        events: what arrived, at any property.
        processing: seconds that the Data Manager takes to process a request.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        place: GaProperty,
        events: Callable[[], Iterable[RecordedEvent]],
        processing: float,
        clock: Callable[[], float],
    ) -> None:
        other = GaProperty("100000001", "G-NEIGHBOUR", account="1001", stream="2001", display_name="Another site")
        self._place = place
        self._properties = {each.id: each for each in (place, other)}
        self._events = events
        self._clock = clock
        self._tokens = Tokens(clock)
        self._data_manager = DataManager(processing)

    def find(self, request: HttpRequest) -> Method | None:
        """What a request asks for; None where there is no such thing."""
        query, body, now = dict(parse_qsl(request.query)), request.body, self._clock()
        match request.method, request.path:
            case "POST", "/token":
                return Method(Api.TOKEN, frozenset(), lambda _: self._tokens.grant(body))
            case "GET", "/v1beta/accountSummaries":
                properties = self._properties.values()
                return Method(Api.ADMIN, _READ, lambda _: admin.account_summaries(properties, query))
            case "POST", "/v1/events:ingest":
                return Method(
                    Api.DATA_MANAGER, _INGEST, lambda _: self._data_manager.ingest(self._properties, body, now)
                )
            case "GET", "/v1/requestStatus:retrieve":
                return Method(Api.DATA_MANAGER, _INGEST, lambda _: self._data_manager.status(query, now))
        if found := _OF_A_PROPERTY.fullmatch(request.path):
            name = found[2].removeprefix("/")
            method = self._of_a_property(request.method, name, query, body)
            return replace(method, property_id=found[1]) if method else None
        return None

    def _of_a_property(self, verb: str, name: str, query: Mapping[str, str], body: bytes) -> Method | None:
        match verb, name:
            case "GET", "dataStreams":
                return Method(Api.ADMIN, _READ, lambda place: admin.data_streams(place, query))
            case "GET", "dataRetentionSettings":
                return Method(Api.ADMIN, _READ, admin.retention)
            case "GET", "customDimensions" | "customMetrics":
                return Method(Api.ADMIN, _READ, lambda place: admin.definitions(place, name, query))
            case "POST", "customDimensions" | "customMetrics":
                return Method(Api.ADMIN, _EDIT, lambda place: admin.create(place, name, body, self._clock()))
            case "GET", "metadata":
                return Method(Api.DATA, _REPORT, data.metadata)
            case "POST", ":runReport" | ":runRealtimeReport":
                run = data.run_report if name == ":runReport" else data.run_realtime_report
                return Method(Api.DATA, _REPORT, lambda place: run(place, self._counted(place), body, self._clock()))
        return None

    def answer(self, method: Method, token: str | None, fault: Fault) -> Reply:
        """Answer a request, or refuse it: for its token, for what it asks, or as a fault says."""
        if fault.kind in (FaultKind.DROP, FaultKind.HANG):
            return Reply(503, None)  # which nobody gets to see
        try:
            value = self._answer(method, token, fault)
        except Refusal as refusal:
            return Reply(refusal.code, refusal.body())
        return Reply(200, value.answer, value) if isinstance(value, Ingested) else Reply(200, value)

    def _answer(self, method: Method, token: str | None, fault: Fault) -> object:
        if fault.kind is FaultKind.DISABLED:
            raise google_json.disabled(method.api)
        if fault.kind is FaultKind.STATUS:
            if token and fault.status == 401:
                self._tokens.revoke(token)  # else the same token would be good the next time
            raise google_json.on_purpose(method.api, fault.status)
        if method.scopes:
            if not token:
                raise google_json.missing_token(method.api)
            if not (scopes := self._tokens.scopes(token)):
                raise google_json.bad_token(method.api)
            if not scopes & method.scopes:
                raise google_json.missing_scope(method.api)
        place = self._properties.get(method.property_id or self._place.id)
        if place is None:
            raise google_json.missing_role(method.api)
        return method.answer(place)

    def _counted(self, place: GaProperty) -> Iterator[Counted]:
        """What arrived at a property and was taken."""
        for event in self._events():
            if event.accepted and event.measurement_id == place.measurement_id:
                received = datetime.fromisoformat(event.received)
                sent = event.timestamp_micros
                at = datetime.fromtimestamp(sent / MICROSECONDS, UTC) if sent is not None else received
                yield Counted(at, received.timestamp(), event.name or "", event.params)
