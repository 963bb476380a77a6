"""The loop that reports: on schedule, on request, and again with back-off while nothing can be collected."""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from bridge import __version__
from bridge.backoff import backoff
from bridge.errors import BridgeError
from bridge.log import Line
from bridge.mongooseim.errors import NoNodeAnswered
from bridge.service.reporting import make_report
from bridge.service.schedule import following, jitter
from bridge.state.errors import StateError
from bridge.state.status import ServiceStatus
from bridge.times import MICROSECONDS, Time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.app import Installation
    from bridge.conditions import Conditions
    from bridge.report.model import Note
    from bridge.service.membership import Membership
    from bridge.service.reporting import Made
    from bridge.state.state import State

log = logging.getLogger(__name__)

LONGEST_REPORT: Final = 120.0
"""Seconds beyond four times the deadline of a node (entries, members, and both again by the nodes seen last)."""
SLACK: Final = 10.0
"""Seconds that the loop may be late before it counts as stuck."""
ROUND: Final = 30.0
"""Seconds between rounds of the loop when nothing is due: it shows that it is alive, and looks for missing members."""
FIRST_RETRY, LONGEST_RETRY = 1.0, 60.0
"""Seconds between attempts while no node answers: an attempt costs next to nothing, and the report is late already."""
_LASTING: Final = {
    "node_not_asked": "node",
    "fact_failed": "fact",
    "own_reporter_on": "",
    "second_bridge": "",
    "unknown_modules": "",
    "too_many_events": "",
}
"""The notes of a report that last as conditions, with the field that says whom each is about."""


class ReportCutError(BridgeError):
    """A report took longer than any may; it was given up and is made again."""


class ReportLoop:
    """Makes every report of the service, one at a time."""

    def __init__(
        self,
        installation: Installation,
        state: State,
        conditions: Conditions,
        *,
        enter: Callable[[Installation], Membership],
        ended: Callable[[Made | Exception], None],
    ) -> None:
        """Prepare; the schedule begins now.

        Args:
            installation: what to run by.
            state: where reports go.
            conditions: where it is logged what is wrong.
            enter: gives a membership in the cluster of an installation.
            ended: is called after every attempt with the report, which may be delivered, or with why there is none.
        """
        self._loop = asyncio.get_running_loop()
        self._installation = installation
        self._state = state
        self._conditions = conditions
        self._enter = enter
        self._ended = ended
        service, longest = installation.settings.service, installation.settings.bridge.start_jitter / 1000
        late = jitter(state.client_id(), longest) if longest else 0.0
        self.first_report_in = late + service.initial_report / 1000
        """Seconds from the start; a thousand bridges that start together need not report together."""
        self._start = self._loop.time() + late
        self._due = self._start + service.initial_report / 1000
        self._last_due: float | None = None
        self._retry_at = math.inf
        self._backoff: Iterator[float] | None = None
        self._wanted: asyncio.Future[Made | Exception] | None = None
        self._woken = asyncio.Event()
        self._stopped = asyncio.Event()
        now, consent = Time(state.clock.wall()), installation.consent
        self.status = ServiceStatus(__version__, now, now, self._period, consent.reason, consent.notice)
        """What there is to show of the service; kept in the state file with every change."""
        self.alive_until = self._loop.time() + SLACK
        """By when the loop will have come round again, in the event loop's time; later than that it is stuck."""

    def request(self) -> asyncio.Future[Made | Exception]:
        """Have a report made as soon as the present one, if any, is done; all who ask meanwhile get the same.

        Returns:
            The report, or why there is none; cancelled where the loop ends before.
        """
        self._wanted = self._wanted or self._loop.create_future()
        self._woken.set()
        return self._wanted

    def stop(self) -> None:
        """End after the present report, if any."""
        self._stopped.set()
        self._woken.set()

    def reload(self, installation: Installation) -> None:
        """Run by another configuration from the next report on."""
        now, service = self._loop.time(), installation.settings.service
        changed, self._installation = service != self._installation.settings.service, installation
        if changed:
            self._backoff = None
            if self._due > now:  # else it is about to be made
                first = self._start + service.initial_report / 1000
                self._due = following(self._last_due, self._period, now) if self._last_due else first
        consent = installation.consent
        self.status = replace(
            self.status, period=self._period, consent=consent.reason, notice=consent.notice, reload_error=None
        )
        self._woken.set()

    def reload_refused(self, problem: str) -> None:
        """Show why a new configuration was refused, until one is taken."""
        self.status = replace(self.status, reload_error=problem)
        self._woken.set()

    @property
    def _period(self) -> float:
        return self._installation.settings.service.periodic_report / 1000

    @property
    def _next(self) -> float:
        """When there is something to do without a request."""
        return min(self._due, self._retry_at)

    @property
    def _longest(self) -> float:
        """Seconds that a report may take."""
        return LONGEST_REPORT + 4 * self._installation.collect_timeout

    async def run(self) -> None:
        """Report until stopped."""
        self._membership = self._enter(self._installation)
        try:
            while not self._stopped.is_set():
                self.alive_until = self._loop.time() + ROUND + self._longest + SLACK
                self._keep_status()
                if self._membership.access != self._installation.access:
                    await self._membership.leave()
                    self._membership = self._enter(self._installation)
                self._membership.join()
                if self._wanted is None:
                    with suppress(TimeoutError):
                        async with asyncio.timeout_at(min(self._next, self._loop.time() + ROUND)):
                            await self._woken.wait()
                self._woken.clear()
                if not self._stopped.is_set() and (self._wanted or self._loop.time() >= self._next):
                    await self._attempt()
        finally:
            if self._wanted:
                self._wanted.cancel()
            with suppress(StateError):
                self._state.keep_service(None)
            await self._membership.leave()

    async def _attempt(self) -> None:
        began, due = self._loop.time(), self._next
        wanted, self._wanted = self._wanted, None
        why = "request" if began < due else "schedule" if began >= self._due else "retry"
        log.debug(Line("report_begun", why=why, late=f"{max(0.0, began - due):.3f}s"))
        try:
            end = await self._report()
            self._schedule_next(began)
            if isinstance(end, Exception):
                self._failed(end, scheduled=began >= due)
            else:
                self._succeeded(end, self._loop.time() - began)
            self._ended(end)
            if wanted:
                wanted.set_result(end)
        finally:
            if wanted:
                wanted.cancel()

    def _schedule_next(self, began: float) -> None:
        if began < self._due:
            return
        now, self._last_due = self._loop.time(), self._due
        self._due = following(self._last_due, self._period, now)
        if missed := round((self._due - self._last_due) / self._period) - 1:
            self._conditions.begin("reports_skipped", number=missed, took=f"{now - began:.1f}s")
        else:
            self._conditions.end("reports_skipped")

    async def _report(self) -> Made | Exception:
        seconds = self._longest
        collect = partial(self._membership.ask, self._installation)
        try:
            async with asyncio.timeout(seconds) as limit:
                return await make_report(collect, self._state, self._installation)
        except Exception as error:  # noqa: BLE001 - the service outlives whatever one report meets
            if isinstance(error, TimeoutError) and limit.expired():
                return ReportCutError(f"the report was not done after {seconds:g} s, and was given up")
            return error

    def _succeeded(self, made: Made, seconds: float) -> None:
        self._retry_at, self._backoff = math.inf, None
        self.status = replace(
            self.status, reports=self.status.reports + 1, failures=0, error=None, last_duration=seconds
        )
        for kind in ("no_node_answered", "report_failed"):
            self._conditions.end(kind)
        for kind, name in _LASTING.items():
            present: dict[str, Note] = {note.about: note for note in made.report.notes if note.kind == kind}
            self._conditions.only(kind, name, present)

    def _failed(self, error: Exception, *, scheduled: bool) -> None:
        failures = self.status.failures + 1
        self.status = replace(self.status, failures=failures, error=str(error) or type(error).__name__)
        if scheduled:
            longest = min(LONGEST_RETRY, self._period)
            self._backoff = self._backoff or backoff(FIRST_RETRY, longest)
            self._retry_at = self._loop.time() + next(self._backoff)
        wait = max(0.0, self._next - self._loop.time())
        kind = "no_node_answered" if isinstance(error, NoNodeAnswered) else "report_failed"
        self._conditions.failed(kind, error, failures=failures, retry_in=f"{wait:.1f}s")

    def _keep_status(self) -> None:
        """Let everybody know how we are, and when the next report is due as a time of day."""
        now = Time(self._state.clock.wall())
        wait = max(0.0, self._next - self._loop.time())
        self.status = replace(self.status, seen_at=now, next_report_at=Time(now + round(wait * MICROSECONDS)))
        try:
            self._state.keep_service(self.status)
        except StateError as error:
            log.debug(Line("status_not_kept", problem=error))
