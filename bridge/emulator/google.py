"""Google's own APIs, as far as the bridge asks them: what a request is for, and whether its token is good for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from bridge.emulator import admin, data, google_json
from bridge.emulator.data_manager import DataManager
from bridge.emulator.faults import Api, FaultKind
from bridge.emulator.ga_property import GaProperty
from bridge.emulator.google_json import Call, Refusal, Reply
from bridge.emulator.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridge.emulator.faults import Fault
    from bridge.emulator.record import RecordedEvent
    from bridge.http_server import HttpRequest

_SCOPE: Final = "https://www.googleapis.com/auth/"
_READ: Final = frozenset({f"{_SCOPE}analytics.readonly", f"{_SCOPE}analytics.edit"})
_EDIT: Final = frozenset({f"{_SCOPE}analytics.edit"})
_REPORT: Final = frozenset({f"{_SCOPE}analytics.readonly", f"{_SCOPE}analytics"})
_INGEST: Final = frozenset({f"{_SCOPE}datamanager"})
_PROPERTY: Final = re.compile(r"(?<=^/v1beta/properties/)[^/:]+")
_ONE: Final = "/v1beta/properties/*"


@dataclass(frozen=True, slots=True)
class Method:
    """What can be asked for."""

    api: Api
    scopes: frozenset[str]
    """The token has to have one of them."""
    answer: Callable[[Call], object]


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
        manager = DataManager(processing)
        self._methods = {
            ("POST", "/token"): Method(Api.TOKEN, frozenset(), self._tokens.grant),
            ("GET", "/v1beta/accountSummaries"): Method(Api.ADMIN, _READ, admin.account_summaries),
            ("GET", f"{_ONE}/dataStreams"): Method(Api.ADMIN, _READ, admin.data_streams),
            ("GET", f"{_ONE}/dataRetentionSettings"): Method(Api.ADMIN, _READ, admin.retention),
            ("POST", f"{_ONE}:runReport"): Method(Api.DATA, _REPORT, data.run_report),
            ("POST", f"{_ONE}:runRealtimeReport"): Method(Api.DATA, _REPORT, data.run_realtime_report),
            ("POST", "/v1/events:ingest"): Method(Api.DATA_MANAGER, _INGEST, manager.ingest),
            ("GET", "/v1/requestStatus:retrieve"): Method(Api.DATA_MANAGER, _INGEST, manager.status),
        }
        for kind in place.definitions:
            self._methods["GET", f"{_ONE}/{kind}"] = Method(Api.ADMIN, _READ, partial(admin.definitions, kind))
            self._methods["POST", f"{_ONE}/{kind}"] = Method(Api.ADMIN, _EDIT, partial(admin.create, kind))

    def find(self, request: HttpRequest) -> Method | None:
        """What a request asks for; None where there is no such thing."""
        return self._methods.get((request.method, _PROPERTY.sub("*", request.path)))

    def answer(self, method: Method, request: HttpRequest, fault: Fault) -> Reply:
        """Answer a request, or refuse it: for its token, for what it asks, or as a fault says."""
        if fault.kind in (FaultKind.DROP, FaultKind.HANG):
            return Reply(None)  # which nobody gets to see
        try:
            value = self._answer(method, request, fault)
        except Refusal as refusal:
            return Reply(refusal.body(), status=refusal.code)
        return value if isinstance(value, Reply) else Reply(value)

    def _answer(self, method: Method, request: HttpRequest, fault: Fault) -> object:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if fault.kind is FaultKind.DISABLED:
            raise google_json.disabled(method.api)
        if fault.kind is FaultKind.STATUS:
            if fault.status == 401:
                self._tokens.revoke(token)  # else the same token would be good the next time
            raise google_json.on_purpose(method.api, fault.status)
        if method.scopes:
            if not token:
                raise google_json.missing_token(method.api)
            if not (scopes := self._tokens.scopes(token)):
                raise google_json.bad_token(method.api)
            if not scopes & method.scopes:
                raise google_json.missing_scope(method.api)
        named = _PROPERTY.search(request.path)
        place = self._properties.get(named[0] if named else self._place.id)
        if place is None:
            raise google_json.missing_role()
        query = dict(parse_qsl(request.query))
        return method.answer(Call(place, self._properties, self._events(), query, request.body, self._clock()))
