"""What the cluster's own shell may ask of us: `gen_server:call({mongooseim_bridge, Node}, report | status | version)`.

    report   makes a report now: {ok, #{report => 12, nodes => 2, events => 57, notes => [Binary]}} once it is queued,
             {ok, started} when that takes longer than a call's usual patience of 5 s, {error, Binary} when it failed
    status   a map: what `mongooseim-bridge status --format json` prints
    version  our version, a binary

Anything else gets {error, {unknown_request, [report, status, version]}}. Texts and times are binaries, names of fields
are atoms, what there is not is `undefined`: no answer makes an atom of what a report or a destination holds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import msgspec

from bridge import __version__
from bridge.erlang.terms import Atom
from bridge.state.errors import StateError
from bridge.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.erlang.terms import Term
    from bridge.service.reporting import Made
    from bridge.state.status import StatusDocument

PATIENCE: Final = 4.0
"""Seconds until a caller is told that the report is under way; gen_server:call/2 waits for 5."""
LEAST_PERIOD: Final = 10.0
"""Seconds between reports by request; who asks in between gets the one before."""

_OK: Final = Atom("ok")
_ERROR: Final = Atom("error")


class Triggers:
    """Answers the requests of peers; nothing else can be called."""

    def __init__(
        self,
        request_report: Callable[[], asyncio.Future[Made | Exception]],
        status: Callable[[], StatusDocument],
        patience: float = PATIENCE,
    ) -> None:
        """Prepare.

        Args:
            request_report: has a report made, and gives what becomes of it.
            status: gives what `status` shows.
            patience: seconds that a caller waits for its report.
        """
        self._request_report = request_report
        self._status = status
        self._patience = patience
        self._last: asyncio.Future[Made | Exception] | None = None
        self._last_at = 0.0

    async def answer(self, request: Term) -> Term:
        """The answer to one request."""
        match request:
            case Atom("report"):
                return await self._report()
            case Atom("status"):
                try:
                    return _term(msgspec.to_builtins(self._status(), enc_hook=rfc3339))
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
        made = future.result()
        if isinstance(made, Exception):
            self._last = None
            return (_ERROR, str(made).encode())
        report = made.report
        counts = {"report": made.id, "nodes": len(report.nodes), "events": len(report.events)}
        return (_OK, _term({**counts, "notes": list(map(str, report.notes))}))


def _term(value: object) -> Term:
    """What is in a document as JSON has it, as an Erlang term."""
    match value:
        case None:
            return Atom("undefined")
        case bool():
            return Atom(str(value).lower())
        case str():
            return value.encode()
        case list() | tuple():
            return [_term(each) for each in value]
        case dict():
            return {Atom(name): _term(each) for name, each in value.items()}
    return value
