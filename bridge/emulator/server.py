"""The endpoint itself: GA4's two paths, Google's own APIs, and the emulator's page, record and switch for faults."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from bridge import web_page
from bridge.emulator.faults import FaultError, FaultKind, FaultPlan
from bridge.emulator.ga_property import GaProperty
from bridge.emulator.google import Google
from bridge.emulator.record import Record, RecordedEvent, RecordedRequest
from bridge.emulator.validator import judge
from bridge.http_server import CutOff, HttpResponse, Limits, Server

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from bridge.emulator.faults import Fault
    from bridge.emulator.verdict import Verdict
    from bridge.http_server import HttpRequest

    Listener = Callable[[RecordedRequest, Sequence[RecordedEvent]], None]

COLLECT: Final = "/mp/collect"
DEBUG: Final = "/debug/mp/collect"
_TAKEN: Final = (FaultKind.OK, FaultKind.SLOW, FaultKind.CUT)
_HALF_AN_ANSWER: Final = b"HTTP/1.1 204 No Content\r\nDate: "
_WRONG_SECRET: Final = "WRONG_SECRET: The stream has another api_secret. GA4 answers the same and drops the events."  # noqa: S105 - a reason
_PAGE_OF_EVENTS: Final = 100
"""At most so many in one answer of /emulator/events: those that follow `?after=NUMBER`, or else the latest."""


class Emulator:
    """GA4 on this machine: `async with Emulator() as emulator: ... emulator.url`."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        fail: str = "",
        tls: ssl.SSLContext | None = None,
        record: Path | None = None,
        keep: int = 100_000,
        place: GaProperty | None = None,
        processing: float = 0.0,
        listener: Listener | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare an emulator; entering it opens its socket.

        Args:
            host: address to listen on.
            port: 0 takes any free one.
            fail: faults as in `FaultPlan`, e.g. `500*3; slow=2`.
            tls: a server context, for https.
            record: a file that gets a line of JSON per event.
            keep: events and requests to keep in memory, the latest ones.
            place: the property that Google's own APIs show; it has one good API secret or takes every one.
            processing: seconds until the Data Manager has processed a request.
            listener: gets every request, and the events that were taken or dropped with it.
            clock: seconds since 1970.

        Raises:
            FaultError: `fail` has a mode that does not exist.
            RecordError: the file cannot be written.
        """
        self._plan = FaultPlan(fail)
        self._record = Record(record, keep)
        self._listener = listener
        self._clock = clock
        self._place = place or GaProperty()
        self._google = Google(self._place, lambda: self._record.events, processing, clock)
        self._at = (host, port)
        self._released = asyncio.Event()
        self.base_url = ""
        """Scheme, host and port, once it listens."""
        routes = {
            ("POST", COLLECT): self._measure,
            ("POST", DEBUG): self._measure,
            ("GET", "/"): self._page,
            ("GET", "/emulator/events"): self._events,
            ("GET", "/emulator/fail"): self._show_fail,
            ("POST", "/emulator/fail"): self._set_fail,
        }
        # Far more than GA4 takes, so that a payload that is too long is judged and not cut off.
        self._server = Server(routes, otherwise=self._ask, tls=tls, limits=Limits(body=16 * 1_048_576))

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            ListenError: the port is taken or the address does not belong to this machine.
        """
        self.base_url = await self._server.start(*self._at)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        await self._server.close()

    @property
    def page(self) -> str:
        """The page that shows the events."""
        return f"{self.base_url}/"

    @property
    def url(self) -> str:
        """What a sender is configured with in place of https://www.google-analytics.com/mp/collect."""
        return f"{self.base_url}{COLLECT}"

    @property
    def events(self) -> list[RecordedEvent]:
        """What arrived at /mp/collect or by the Data Manager, oldest first."""
        return list(self._record.events)

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request to GA4's two paths and to Google's own APIs, oldest first, also those refused on purpose."""
        return list(self._record.requests)

    @property
    def fail(self) -> str:
        """The faults to come, as `FaultPlan` reads them; assign another text, or "" to recover."""
        return str(self._plan)

    @fail.setter
    def fail(self, text: str) -> None:
        self._plan = FaultPlan(text)
        self._released.set()  # whoever hangs is let go
        self._released = asyncio.Event()

    async def _measure(self, request: HttpRequest) -> HttpResponse | CutOff:
        """Both endpoints of GA4."""
        fault, query, debug = self._plan.next(), parse_qs(request.query), request.path == DEBUG
        verdict = judge(request.body, int(self._clock() * 1e6))
        measurement_id, secret = (query.get(name, [None])[0] for name in ("measurement_id", "api_secret"))
        if not debug and self._place.drops(measurement_id, secret):
            verdict = verdict.dropped(_WRONG_SECRET)
        if fault.kind is FaultKind.STATUS:
            answer = HttpResponse(fault.status, f"{fault.status} on purpose\n".encode())
        else:
            answer = _json({"validationMessages": verdict.messages}) if debug else HttpResponse(204)
        return await self._finish(request, fault, answer, verdict, measurement_id, secret_given=secret is not None)

    async def _ask(self, request: HttpRequest) -> HttpResponse | CutOff:
        """Google's own APIs."""
        method = self._google.find(request)
        if method is None:
            return HttpResponse(404, b"404 Not Found\n")
        fault = self._plan.next(method.api)
        reply = self._google.answer(method, request, fault)
        return await self._finish(request, fault, _json(reply.value, reply.status), reply.verdict, reply.measurement_id)

    async def _finish(
        self,
        request: HttpRequest,
        fault: Fault,
        answer: HttpResponse,
        verdict: Verdict,
        measurement_id: str | None,
        *,
        secret_given: bool = False,
    ) -> HttpResponse | CutOff:
        """Record a request, and let its answer meet its fault."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        kept = RecordedRequest(
            received=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            method=request.method,
            path=request.path,
            measurement_id=measurement_id,
            secret_given=secret_given,
            answer=str(answer.status) if fault.kind is FaultKind.OK else fault.mode,
            events=len(verdict.events),
            messages=len(verdict.messages),
        )
        events = self._record.add(kept, verdict, taken=fault.kind in _TAKEN and request.path != DEBUG)
        if self._listener:
            self._listener(kept, events)
        match fault.kind:
            case FaultKind.STATUS if fault.retry_after:
                return replace(answer, headers=(("Retry-After", fault.retry_after),))
            case FaultKind.DROP:
                return CutOff()
            case FaultKind.CUT:
                return CutOff(_HALF_AN_ANSWER)
            case FaultKind.HANG:
                await self._released.wait()
                return CutOff()
            case FaultKind.SLOW:
                await asyncio.sleep(fault.seconds)
        return answer

    async def _page(self, _: HttpRequest) -> HttpResponse:
        return web_page.response("bridge.emulator")

    async def _events(self, request: HttpRequest) -> HttpResponse:
        kept = self._record.events
        after = parse_qs(request.query).get("after", [""])[0]
        known = int(after) if after.isascii() and after.isdigit() and len(after) < 18 else None
        first = len(kept) - _PAGE_OF_EVENTS if known is None else known + 1 - kept[0].number if kept else 0
        events = [event.to_json() for event in islice(kept, max(0, first), max(0, first) + _PAGE_OF_EVENTS)]
        whole = {
            "url": self.url,
            "accepted": self._record.accepted,
            "rejected": self._record.rejected,
            "requests": self._record.answered,
            "fail": self.fail,
        }
        body = f'{json.dumps(whole)[:-1]}, "events": [{", ".join(events)}]}}'
        return HttpResponse(200, body.encode(), "application/json")

    async def _show_fail(self, _: HttpRequest) -> HttpResponse:
        return _json({"fail": self.fail})

    async def _set_fail(self, request: HttpRequest) -> HttpResponse:
        # Pages that a browser has open may post to this machine; programs send no Origin.
        if not ipaddress.ip_address(request.peer).is_loopback or "origin" in request.headers:
            return HttpResponse(403, b"only for programs on this machine\n")
        try:
            self.fail = request.body.decode()
        except (FaultError, UnicodeDecodeError) as error:
            return HttpResponse(400, f"{error}\n".encode())
        return _json({"fail": self.fail})


def _json(value: object, status: int = 200) -> HttpResponse:
    return HttpResponse(status, json.dumps(value).encode(), "application/json")
