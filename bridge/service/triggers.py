"""What the cluster's own shell may ask of us: `gen_server:call({mongooseim_bridge, Node}, report | status | version)`.

    report   makes a report now: {ok, #{report => 12, nodes => 2, events => 57, notes => [Binary]}} once it is queued,
             {ok, started} when that takes longer than a call's usual patience of 5 s, {error, Binary} when it failed
    status   a map: version, reports since the start, the last and the next report, the last error, each destination
    version  our version, a binary

Anything else gets {error, {unknown_request, [report, status, version]}}. Times are binaries as "2026-01-31T12:00:00Z",
texts are binaries, what there is not is `undefined`: no answer makes an atom that the node did not have.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bridge import __version__
from bridge.erlang.terms import Atom
from bridge.state.errors import StateError
from bridge.times import moment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.erlang.terms import Term
    from bridge.service.reporting import Made
    from bridge.state.state import State
    from bridge.state.status import DestinationStatus, Status

PATIENCE: Final = 4.0
"""Seconds until a caller is told that the report is under way; gen_server:call/2 waits for 5."""
LEAST_PERIOD: Final = 10.0
"""Seconds between reports by request; who asks in between gets the one before."""

_OK: Final = Atom("ok")
_ERROR: Final = Atom("error")
_UNDEFINED: Final = Atom("undefined")


class Triggers:
    """Answers the requests of peers; nothing else can be called."""

    def __init__(
        self, request_report: Callable[[], asyncio.Future[Made]], state: State, patience: float = PATIENCE
    ) -> None:
        """Prepare.

        Args:
            request_report: has a report made, and gives what becomes of it.
            state: what `status` shows.
            patience: seconds that a caller waits for its report.
        """
        self._request_report = request_report
        self._state = state
        self._patience = patience
        self._last: asyncio.Future[Made] | None = None
        self._last_at = 0.0

    async def answer(self, request: Term) -> Term:
        """The answer to one request."""
        match request:
            case Atom("report"):
                return await self._report()
            case Atom("status"):
                try:
                    return _atoms(_status(self._state.status(1)))
                except StateError as error:
                    return (_ERROR, str(error).encode())
            case Atom("version"):
                return __version__.encode()
            case _:
                known = [Atom("report"), Atom("status"), Atom("version")]
                return (_ERROR, (Atom("unknown_request"), known))

    async def _report(self) -> Term:
        now = asyncio.get_running_loop().time()
        if self._last is None or now >= self._last_at + LEAST_PERIOD:
            self._last, self._last_at = self._request_report(), now
        future = self._last
        done, _ = await asyncio.wait({future}, timeout=self._patience)
        if not done:
            return (_OK, Atom("started"))
        if future.cancelled():
            return (_ERROR, b"the bridge is about to stop")
        if error := future.exception():
            self._last = None
            return (_ERROR, str(error).encode())
        made = future.result()
        notes = [str(note).encode() for note in made.report.notes]
        counts = {"report": made.id, "nodes": len(made.report.nodes), "events": len(made.report.events)}
        return (_OK, _atoms({**counts, "notes": notes}))


def _status(status: Status) -> Mapping[str, Term]:
    service, last = status.service, status.last_report
    assert service  # it is the one that answers
    return {
        "version": service.version.encode(),
        "started_at": _moment(service.started_at),
        "period_ms": round(service.period * 1000),
        "reports": service.reports,
        "failures": service.failures,
        "error": _text(service.error),
        "last_report": last.id if last else _UNDEFINED,
        "last_report_at": _moment(last.collected_at if last else None),
        "next_report_at": _moment(service.next_report_at),
        "nodes": [node.name.encode() for node in status.nodes if node.missing_since is None],
        "missing_nodes": [node.name.encode() for node in status.nodes if node.missing_since is not None],
        "destinations": [_atoms(_destination(destination)) for destination in status.destinations],
    }


def _destination(destination: DestinationStatus) -> Mapping[str, Term]:
    return {
        "name": destination.name.encode(),
        "delivered": destination.delivered,
        "queued": destination.queued_events,
        "rejected": destination.rejected,
        "dropped": sum(destination.dropped.values()),
        "error": _text(destination.error if destination.failing_since else None),
    }


def _atoms(fields: Mapping[str, Term]) -> Term:
    return {Atom(name): value for name, value in fields.items()}


def _text(text: str | None) -> Term:
    return _UNDEFINED if text is None else text.encode()


def _moment(microseconds: int | None) -> Term:
    return _UNDEFINED if microseconds is None else moment(microseconds).encode()
