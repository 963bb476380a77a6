"""The loop that reports: on schedule, on request, and again with back-off while nothing can be collected."""

from __future__ import annotations

import asyncio
import logging
import math
from functools import partial
from typing import TYPE_CHECKING, Final

from bridge.delivery.errors import StoreError
from bridge.delivery.store import NEXT_REPORT_AT, SERVICE_SEEN_AT
from bridge.errors import BridgeError
from bridge.log import Line
from bridge.mongooseim.errors import NoNodeAnswered
from bridge.service.reporting import OWN_REPORTER_ON, make_report, too_many_a_day
from bridge.service.schedule import Schedule, backoff
from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.config.access import Access
    from bridge.delivery.store import Store
    from bridge.service.membership import Membership
    from bridge.service.plan import Plan
    from bridge.service.reporting import Made
    from bridge.service.state import ServiceState
    from bridge.service.troubles import Troubles

log = logging.getLogger(__name__)

LONGEST_REPORT: Final = 120.0
"""Seconds beyond four times the deadline of a node (entries, members, and both again by the nodes seen last)."""
SLACK: Final = 10.0
"""Seconds that the loop may be late before it counts as stuck."""
FACT_MISSING: Final = "the node could not tell; what it would have said is missing from the report"
ROUND: Final = 30.0
"""Seconds between rounds of the loop when nothing is due: it tells that it is alive, and tries to be a node again."""


class ReportCut(BridgeError):
    """A report took longer than any may; it was given up and is made again."""


class ReportLoop:
    """Makes every report of the service, one at a time."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        state: ServiceState,
        troubles: Troubles,
        *,
        ended: Callable[[Made | Exception], None],
        enter: Callable[[Access], Membership],
    ) -> None:
        """Prepare; the schedule begins now.

        Args:
            plan: what to run by.
            store: where reports go.
            state: what is told of each attempt.
            troubles: where it is told what is wrong.
            ended: told of every attempt: the report, which may be delivered, or why there is none.
            enter: gives a membership in the cluster that is reached so.
        """
        self._loop = asyncio.get_running_loop()
        self._plan = plan
        self._store = store
        self._state = state
        self._troubles = troubles
        self._ended = ended
        self._enter = enter
        self._start = self._loop.time()
        self._schedule = Schedule.of(plan.settings.service, self._start)
        self._due = self._schedule.first
        self._retry_at = math.inf
        self._backoff: Iterator[float] | None = None
        self._wanted: asyncio.Future[Made] | None = None
        self._woken = asyncio.Event()
        self._stopped = asyncio.Event()
        self._membership: Membership | None = None
        state.alive_until = self._start + SLACK

    def request(self) -> asyncio.Future[Made]:
        """Have a report made as soon as the present one, if any, is done; all who ask meanwhile get the same."""
        if self._wanted is None:
            self._wanted = self._loop.create_future()
            # Nobody may be waiting for it: a signal does not.
            self._wanted.add_done_callback(lambda future: future.cancelled() or future.exception())
        self._woken.set()
        wanted = self._wanted
        if self._stopped.is_set():
            wanted.cancel()
        return wanted

    def stop(self) -> None:
        """End after the present report, if any."""
        self._stopped.set()
        self._woken.set()

    def replan(self, plan: Plan) -> None:
        """Run by another plan from the next report on."""
        now = self._loop.time()
        if plan.settings.service != self._plan.settings.service:
            self._schedule = self._schedule.changed(plan.settings.service, self._start, now)
            if self._due > now:  # else it is about to be made
                self._due = self._schedule.after(now)
            self._backoff = None
        self._plan = plan
        self._woken.set()

    async def run(self) -> None:
        """Report until stopped."""
        try:
            while not self._stopped.is_set():
                self._tell_next()
                await self._join()
                await self._until_something_to_do()
                if not self._stopped.is_set() and self._is_due():
                    await self._attempt()
        finally:
            if self._wanted:
                self._wanted.cancel()
            if self._membership:
                await self._membership.leave()

    async def _join(self) -> None:
        """Be in the cluster under the name and with the cookie of the plan, so that we can be called at any time."""
        if self._membership and self._membership.access != self._plan.access:
            await self._membership.leave()
            self._membership = None
        if self._membership is None:
            self._membership = self._enter(self._plan.access)
        try:
            await self._membership.join()
        except Exception as error:  # noqa: BLE001 - reports are more important than triggers
            self._troubles.failed("not_registered", error)

    async def _until_something_to_do(self) -> None:
        if self._wanted is None:
            until = min(self._due, self._retry_at, self._loop.time() + ROUND)
            self._state.alive_until = until + SLACK
            try:
                async with asyncio.timeout_at(until):
                    await self._woken.wait()
            except TimeoutError:
                pass
        self._woken.clear()

    def _is_due(self) -> bool:
        return self._wanted is not None or self._loop.time() >= min(self._due, self._retry_at)

    async def _attempt(self) -> None:
        began = self._loop.time()
        scheduled = began >= min(self._due, self._retry_at)
        wanted, self._wanted = self._wanted, None
        why = "request" if not scheduled else "schedule" if began >= self._due else "retry"
        log.debug(Line("report_begun", why=why, late=f"{began - min(self._due, self._retry_at, began):.3f}s"))
        longest = LONGEST_REPORT + 4 * self._plan.collect_timeout
        self._state.alive_until = began + longest + SLACK
        try:
            made = await self._report_within(longest)
        except asyncio.CancelledError:
            if wanted:
                wanted.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - the service outlives whatever one report meets
            self._schedule_next(began)
            self._failed(error, scheduled=scheduled)
            self._ended(error)
            if wanted and not wanted.done():
                wanted.set_exception(error)
        else:
            self._schedule_next(began)
            self._succeeded(made, self._loop.time() - began)
            self._ended(made)
            if wanted and not wanted.done():
                wanted.set_result(made)

    def _schedule_next(self, began: float) -> None:
        now = self._loop.time()
        if began >= self._due:
            if missed := self._schedule.missed(self._due, now):
                self._troubles.begin("reports_skipped", number=missed, took=f"{now - began:.1f}s")
            else:
                self._troubles.end("reports_skipped", "reports_in_time")
            self._due = self._schedule.after(now)

    async def _report_within(self, seconds: float) -> Made:
        assert self._membership
        membership, plan = self._membership, self._plan
        try:
            async with asyncio.timeout(seconds) as limit:
                collect = partial(membership.ask, plan.collect_timeout)
                return await make_report(collect, self._store, plan.destinations, plan.settings)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ReportCut(f"the report was not done after {seconds:g} s, and was given up") from error

    def _succeeded(self, made: Made, seconds: float) -> None:
        self._retry_at, self._backoff = math.inf, None
        state, troubles, facts = self._state, self._troubles, made.facts
        state.reports += 1
        state.failures = 0
        state.error = None
        state.last_report = made.id
        state.last_report_at = made.report.collected_at
        state.last_duration = seconds
        state.last_events = len(made.report.events)
        state.facts = facts
        for kind in ("no_node_answered", "report_failed"):
            troubles.end(kind, "reporting_again")
        absent = {node.node: node.reason for node in facts.unreachable}
        troubles.only("node_not_asked", "node_no_longer_missing", "node", absent)
        troubles.only("fact_failed", "fact_no_longer_failing", "fact", dict.fromkeys(facts.notes, FACT_MISSING))
        if facts.own_reporter:
            troubles.begin("own_reporter_on", problem=OWN_REPORTER_ON)
        else:
            troubles.end("own_reporter_on", "own_reporter_off")
        if problem := too_many_a_day(len(made.report.events), self._plan.settings):
            troubles.begin("too_many_events", problem=problem)
        else:
            troubles.end("too_many_events", "events_within_the_limit")

    def _failed(self, error: Exception, *, scheduled: bool) -> None:
        self._state.failures += 1
        self._state.error = str(error) or type(error).__name__
        if scheduled:
            self._backoff = self._backoff or backoff(self._schedule.period)
            self._retry_at = self._loop.time() + next(self._backoff)
        wait = max(0.0, min(self._due, self._retry_at) - self._loop.time())
        kind = "no_node_answered" if isinstance(error, NoNodeAnswered) else "report_failed"
        self._troubles.failed(kind, error, failures=self._state.failures, retry_in=f"{wait:.1f}s")

    def _tell_next(self) -> None:
        """When the next report is due, as a time of day, for `status`."""
        wait = max(0.0, min(self._due, self._retry_at) - self._loop.time())
        self._state.period = self._schedule.period
        self._state.next_report_at = self._store.clock.wall() + round(wait * MICROSECONDS)
        try:
            self._store.put(NEXT_REPORT_AT, str(self._state.next_report_at))
            self._store.put(SERVICE_SEEN_AT, str(self._store.clock.wall()))
        except StoreError as error:
            log.debug(Line("status_not_kept", problem=error))
