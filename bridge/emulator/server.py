"""The endpoint itself: `/mp/collect`, `/debug/mp/collect`, and the emulator's page, record and switch for faults."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from bridge import web_page
from bridge.emulator.faults import FaultError, Kind, Plan
from bridge.emulator.record import Record, RecordedEvent, RecordedRequest, moment
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
_HALF_AN_ANSWER: Final = b"HTTP/1.1 204 No Content\r\nDate: "
_PAGE_OF_EVENTS: Final = 1_000
"""Events in one answer of /emulator/events: those that follow `?after=NUMBER`, or else the latest."""


class Emulator:
    """GA4's Measurement Protocol on this machine: `async with Emulator() as emulator: ... emulator.url`."""

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        fail: str = "",
        tls: ssl.SSLContext | None = None,
        record: Path | None = None,
        keep: int = 100_000,
        listener: Listener | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Prepare an emulator; `start`, or entering it, opens its socket.

        Args:
            host: address to listen on.
            port: 0 takes any free one.
            fail: faults as in `Plan.parse`, e.g. `500*3; slow=2`.
            tls: a server context, for https.
            record: a file that gets a line of JSON per event.
            keep: events and requests to keep in memory, the latest ones.
            listener: is told of every request, and of the events that were taken or dropped with it.
            clock: seconds since 1970.

        Raises:
            FaultError: `fail` has a mode that does not exist.
            RecordError: the file cannot be opened.
        """
        self._plan = Plan.parse(fail)
        self._record = Record(record, keep)
        self._listener = listener
        self._clock = clock
        self._scheme = "https" if tls else "http"
        self._at = (host, port)
        self._released = asyncio.Event()
        routes = {
            ("POST", COLLECT): self._collect,
            ("POST", DEBUG): self._debug,
            ("GET", "/"): self._page,
            ("GET", "/emulator/events"): self._events,
            ("GET", "/emulator/fail"): self._tell_fail,
            ("POST", "/emulator/fail"): self._set_fail,
        }
        # Far more than GA4 takes, so that a payload that is too long is judged and not cut off.
        self._server = Server(routes, tls=tls, limits=Limits(body=16 * 1_048_576))

    async def start(self) -> None:
        """Listen; afterwards `url` is known.

        Raises:
            ListenError: the port is taken or the address is none of this machine.
        """
        self._at = await self._server.start(*self._at)

    async def close(self) -> None:
        """Stop listening, end hanging answers, close the record."""
        self._released.set()
        await self._server.close()
        self._record.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def base_url(self) -> str:
        """Scheme, host and port."""
        host, port = self._at
        return f"{self._scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def url(self) -> str:
        """What a sender is configured with in place of https://www.google-analytics.com/mp/collect."""
        return f"{self.base_url}{COLLECT}"

    @property
    def events(self) -> list[RecordedEvent]:
        """What arrived at /mp/collect, oldest first."""
        return list(self._record.events)

    @property
    def accepted(self) -> int:
        """How many events were accepted since the start, kept or not."""
        return self._record.accepted

    @property
    def rejected(self) -> int:
        """How many events were rejected since the start, kept or not."""
        return self._record.rejected

    @property
    def requests(self) -> list[RecordedRequest]:
        """Every request to /mp/collect and /debug/mp/collect, oldest first, also those refused on purpose."""
        return list(self._record.requests)

    @property
    def fail(self) -> str:
        """The faults to come, as `Plan.parse` reads them; assign another text, or "" to recover."""
        return str(self._plan)

    @fail.setter
    def fail(self, text: str) -> None:
        self._plan = Plan.parse(text)
        self._released.set()  # whoever hangs is let go
        self._released = asyncio.Event()

    # GA4's endpoints

    async def _collect(self, request: HttpRequest) -> HttpResponse:
        fault = self._plan.next()
        verdict = judge(request.body, int(self._clock() * 1e6))
        taken = fault.kind in (Kind.OK, Kind.SLOW, Kind.CUT)
        self._keep(request, verdict, "204" if fault.kind is Kind.OK else str(fault), taken=taken)
        return await self._answer(fault, HttpResponse(204))

    async def _debug(self, request: HttpRequest) -> HttpResponse:
        fault = self._plan.next()
        verdict = judge(request.body, int(self._clock() * 1e6))
        self._keep(request, verdict, "200" if fault.kind is Kind.OK else str(fault), taken=False)
        return await self._answer(fault, _json({"validationMessages": verdict.messages()}))

    async def _answer(self, fault: Fault, usual: HttpResponse) -> HttpResponse:
        match fault.kind:
            case Kind.STATUS:
                headers = (("Retry-After", fault.retry_after),) if fault.retry_after else ()
                return HttpResponse(fault.status, f"{fault.status} on purpose\n".encode(), headers=headers)
            case Kind.DROP:
                raise CutOff
            case Kind.CUT:
                raise CutOff(_HALF_AN_ANSWER)
            case Kind.HANG:
                await self._released.wait()
                raise CutOff
            case Kind.SLOW:
                await asyncio.sleep(fault.seconds)
        return usual

    def _keep(self, request: HttpRequest, verdict: Verdict, answer: str, *, taken: bool) -> None:
        query = parse_qs(request.query)
        received, measurement_id = moment(self._clock()), query.get("measurement_id", [None])[0]
        secret_given = "api_secret" in query
        kept = RecordedRequest(
            received,
            request.path,
            measurement_id,
            secret_given,
            request.headers,
            len(request.body),
            len(verdict.events),
            answer,
            len(verdict.messages()) if request.path == DEBUG else 0,
        )
        events: list[RecordedEvent] = []
        if taken:
            first = self._record.accepted + self._record.rejected + 1
            context = (received, measurement_id, secret_given, verdict.client_id)
            events = [
                RecordedEvent(number, *context, name, params, timestamp, not reasons, tuple(reasons), tuple(warnings))
                for number, (name, params, timestamp, reasons, warnings) in enumerate(_judged(verdict), first)
            ]
        self._record.add(kept, events)
        if self._listener:
            self._listener(kept, events)

    # the emulator's own pages

    async def _page(self, _: HttpRequest) -> HttpResponse:
        return web_page.response("bridge.emulator")

    async def _events(self, request: HttpRequest) -> HttpResponse:
        kept = self._record.events
        after = parse_qs(request.query).get("after", [""])[0]
        start = len(kept) - _PAGE_OF_EVENTS
        if kept and after.isascii() and after.isdigit() and len(after) < 18:
            start = int(after) + 1 - kept[0].number
        start = max(0, start)
        whole = {
            "url": self.url,
            "accepted": self._record.accepted,
            "rejected": self._record.rejected,
            "requests": self._record.answered,
            "fail": self.fail,
            "events": [asdict(event) for event in islice(kept, start, start + _PAGE_OF_EVENTS)],
        }
        return _json(whole)

    async def _tell_fail(self, _: HttpRequest) -> HttpResponse:
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


def _judged(
    verdict: Verdict,
) -> list[tuple[str | None, dict[str, object], int | None, list[str], list[str]]]:
    if not verdict.events:
        return [(None, {}, None, verdict.reasons(), [])]
    return [
        (event.name, dict(event.params), event.timestamp_micros, verdict.reasons(index), verdict.warnings(index))
        for index, event in enumerate(verdict.events)
    ]


def _json(value: object) -> HttpResponse:
    return HttpResponse(200, json.dumps(value).encode(), "application/json")
