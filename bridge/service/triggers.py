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
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bridge import __version__
from bridge.erlang.terms import Atom

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.erlang.terms import Term
    from bridge.service.reporting import Made
    from bridge.service.state import DestinationState, ServiceState

PATIENCE: Final = 4.0
"""Seconds until a caller is told that the report is under way; gen_server:call/2 waits for 5."""

_OK: Final = Atom("ok")
_ERROR: Final = Atom("error")
_UNDEFINED: Final = Atom("undefined")


class Triggers:
    """Answers the requests of peers; nothing else can be called."""

    def __init__(
        self, request_report: Callable[[], asyncio.Future[Made]], state: ServiceState, patience: float = PATIENCE
    ) -> None:
        """Prepare.

        Args:
            request_report: has a report made, and gives what becomes of it.
            state: what `status` tells.
            patience: seconds that a caller waits for its report.
        """
        self._request_report = request_report
        self._state = state
        self._patience = patience

    async def answer(self, request: Term) -> Term:
        """The answer to one request."""
        match request:
            case Atom("report"):
                return await self._report()
            case Atom("status"):
                return _atoms(_status(self._state))
            case Atom("version"):
                return __version__.encode()
            case _:
                known = [Atom("report"), Atom("status"), Atom("version")]
                return (_ERROR, (Atom("unknown_request"), known))

    async def _report(self) -> Term:
        future = self._request_report()
        done, _ = await asyncio.wait({future}, timeout=self._patience)
        if not done:
            return (_OK, Atom("started"))
        if future.cancelled():
            return (_ERROR, b"the bridge is about to stop")
        if error := future.exception():
            return (_ERROR, str(error).encode())
        made = future.result()
        notes = [note.encode() for note in made.report.notes]
        counts = {"report": made.id, "nodes": len(made.report.nodes), "events": len(made.report.events)}
        return (_OK, _atoms({**counts, "notes": notes}))


def _status(state: ServiceState) -> Mapping[str, Term]:
    return {
        "version": __version__.encode(),
        "started_at": _moment(state.started_at),
        "period_ms": round(state.period * 1000),
        "reports": state.reports,
        "failures": state.failures,
        "error": _text(state.error),
        "last_report": _UNDEFINED if state.last_report is None else state.last_report,
        "last_report_at": _moment(state.last_report_at),
        "next_report_at": _moment(state.next_report_at),
        "nodes": [node.name.encode() for node in state.facts.nodes] if state.facts else [],
        "destinations": [_atoms(_destination(destination)) for destination in state.destinations.values()],
    }


def _destination(destination: DestinationState) -> Mapping[str, Term]:
    return {
        "name": destination.name.encode(),
        "delivered": destination.delivered,
        "queued": destination.queued,
        "rejected": destination.rejected,
        "dropped": destination.dropped,
        "error": _text(destination.error),
    }


def _atoms(fields: Mapping[str, Term]) -> Term:
    return {Atom(name): value for name, value in fields.items()}


def _text(text: str | None) -> Term:
    return _UNDEFINED if text is None else text.encode()


def _moment(moment: int | None) -> Term:
    if moment is None:
        return _UNDEFINED
    return f"{datetime.fromtimestamp(moment / 1e6, UTC):%Y-%m-%dT%H:%M:%SZ}".encode()
