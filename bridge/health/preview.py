"""The page's button "what would be sent now": asks the nodes, and keeps and sends nothing."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import msgspec

from bridge.errors import BridgeError
from bridge.http_server import HttpResponse
from bridge.report.difference import Change, difference
from bridge.times import Time, rfc3339

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bridge.http_server import HttpRequest
    from bridge.report.model import Report
    from bridge.state.state import State

LEAST_PERIOD: Final = 10.0
"""Seconds between previews; who asks in between gets the one before."""
SLACK: Final = 5.0
"""Seconds for all that is not waiting for a node."""
_CHANGES: Final = 500
"""Changes that are shown; where there are more, a report is near."""


@dataclass(frozen=True, slots=True)
class PreviewView:
    """A report that was not made, against the last one that was."""

    collected_at: Time
    events: int
    nodes: int
    notes: tuple[str, ...]
    since: int | None
    """The report that it is compared with; None before the first."""
    changes: tuple[Change, ...]
    more: int
    """Changes beyond those that are shown."""


class Preview:
    """Makes previews, one at a time, for the page of this listener alone."""

    def __init__(self, make: Callable[[], Awaitable[Report]], state: State, collect_timeout: float) -> None:
        """Prepare.

        Args:
            make: gives the report as it would be made now.
            state: where the last report is.
            collect_timeout: seconds for each node.
        """
        self.token = secrets.token_urlsafe(16)
        """The page has it, and sends it back."""
        self.deadline = 2 * collect_timeout + SLACK
        """Seconds: entry nodes are asked first, and the members that they see after them."""
        self._make = make
        self._state = state
        self._last: asyncio.Task[Report] | None = None
        self._last_at = 0.0

    async def answer(self, request: HttpRequest) -> HttpResponse:
        """The answer to the page.

        Raises:
            StateError: the state file cannot be read.
        """
        own = urlsplit(request.headers.get("origin", "")).netloc == request.headers.get("host")
        if not own or not secrets.compare_digest(request.body, self.token.encode()):
            return HttpResponse(403, b"only for the page of this listener, which may have to be loaded again\n")
        try:
            report = await asyncio.shield(self._report())
        except TimeoutError:
            return HttpResponse(504, f"the nodes did not answer within {self.deadline:g} s\n".encode())
        except BridgeError as error:
            return HttpResponse(502, f"{error}\n".encode())
        return HttpResponse(200, msgspec.json.encode(self._view(report), enc_hook=rfc3339), "application/json")

    async def close(self) -> None:
        """Give up what is under way."""
        if self._last:
            self._last.cancel()
            await asyncio.wait({self._last})

    def _report(self) -> asyncio.Task[Report]:
        now = asyncio.get_running_loop().time()
        if self._last is None or (self._last.done() and now >= self._last_at + LEAST_PERIOD):
            self._last, self._last_at = asyncio.create_task(self._within_deadline(), name="preview"), now
        return self._last

    async def _within_deadline(self) -> Report:
        async with asyncio.timeout(self.deadline):
            return await self._make()

    def _view(self, report: Report) -> PreviewView:
        last = self._state.status(1).last_published
        stored = self._state.report(last.id) if last else None
        changes = difference(stored[1] if stored else (), report.events)
        return PreviewView(
            Time(report.collected_at),
            len(report.events),
            len(report.nodes),
            tuple(map(str, report.notes)),
            last.id if last and stored else None,
            changes[:_CHANGES],
            max(0, len(changes) - _CHANGES),
        )
