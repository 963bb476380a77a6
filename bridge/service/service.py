"""The service from its start to its end: puts the parts together, and takes signals and new configurations."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge import __version__
from bridge.delivery import records
from bridge.delivery.deliver import Health
from bridge.delivery.errors import StoreError
from bridge.delivery.store import NEXT_REPORT_AT
from bridge.errors import BridgeError
from bridge.log import Line
from bridge.service.consent import notice, require
from bridge.service.courier import Couriers
from bridge.service.loop import ReportLoop
from bridge.service.membership import Membership
from bridge.service.only_one import only_one
from bridge.service.plan import NEEDS_RESTART, changes
from bridge.service.reporting import make_sender, open_store
from bridge.service.signals import handled
from bridge.service.state import DestinationState, ServiceState
from bridge.service.triggers import Triggers
from bridge.service.troubles import Troubles

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping

    from bridge.config.access import Access
    from bridge.delivery.deliver import Outcome
    from bridge.delivery.sender import Sender
    from bridge.delivery.store import Store
    from bridge.service.plan import Plan
    from bridge.service.reporting import Made
    from bridge.service.sd_notify import Notifier

log = logging.getLogger(__name__)

FINISH_SECONDS: Final = 3.0
"""How long a report that is under way may go on once the service was told to stop."""
FLUSH_SECONDS: Final = 5.0
"""How long deliveries may go on after that. With a reload in between it makes less than the 10 s that are promised."""


class _Order(Enum):
    STOP = "stop"
    RELOAD = "reload"


class Service:
    """One run of the service; `run` returns when it was told to stop."""

    _sender: Sender
    _store: Store
    _state: ServiceState
    _couriers: Couriers
    _reports: ReportLoop

    def __init__(
        self, plan: Plan, read_plan: Callable[[], Plan], environ: Mapping[str, str], notifier: Notifier
    ) -> None:
        """Prepare; nothing is opened before `run`.

        Args:
            plan: what to run by.
            read_plan: reads the configuration again; a BridgeError says why it cannot be used.
            environ: the environment.
            notifier: tells systemd.
        """
        self._plan = plan
        self._read_plan = read_plan
        self._environ = environ
        self._notifier = notifier
        self._orders: asyncio.Queue[_Order] = asyncio.Queue()
        self._hurry = asyncio.Event()
        self._stopping = False
        self._troubles = Troubles()

    async def run(self) -> None:
        """Report until told to stop; then finish or queue what is under way.

        Raises:
            ReportingOff: there is no consent, or it was withdrawn by a new configuration.
            AlreadyRunning: another service has the state directory.
            BridgeError: the state directory or the health listener cannot be used.
        """
        given = require(self._plan.settings.service, self._environ)
        bridge = self._plan.settings.bridge
        self._sender = make_sender(bridge, self._environ)
        with open_store(bridge) as self._store:
            async with only_one(Path(bridge.state_dir)):
                self._state = ServiceState(
                    given, self._store.clock.wall(), self._plan.settings.service.periodic_report / 1000
                )
                self._couriers = Couriers(self._store, Health(), self._troubles, self._delivered)
                self._reports = ReportLoop(
                    self._plan, self._store, self._state, self._troubles, ended=self._ended, enter=self._enter
                )
                with self._signals():
                    try:
                        await self._work()
                    finally:
                        await self._couriers.dismiss()
                        await self._close_sender()
                        with suppress(StoreError):
                            self._store.put(NEXT_REPORT_AT, None)
        log.info(Line("service_stopped", reports=self._state.reports))

    async def _work(self) -> None:
        """Everything between start and stop."""
        self._remember()
        await self._employ()
        self._tell_start()
        async with (
            _health(self._plan, self._state, self._store),
            _running(self._reports.run()) as reporting,
            _running(self._watchdog(reporting)),
        ):
            reporting.add_done_callback(lambda _: self._orders.put_nowait(_Order.STOP))
            self._notifier.ready("started")
            while await self._orders.get() is _Order.RELOAD:
                await self._reload()
            self._notifier.stopping()
            await self._wind_up(reporting)

    async def _wind_up(self, reporting: asyncio.Task[object]) -> None:
        """Finish what is under way, or leave it in the queue; a second signal cuts both short."""
        self._reports.stop()
        await self._at_most(reporting, FINISH_SECONDS)
        if reporting.done() and not reporting.cancelled() and (error := reporting.exception()):
            raise error
        async with _running(self._couriers.idle()) as flush:
            await self._at_most(flush, FLUSH_SECONDS)

    async def _at_most(self, task: asyncio.Task[object], seconds: float) -> None:
        async with _running(self._hurry.wait()) as hurry:
            await asyncio.wait({task, hurry}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    # signals

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        with handled(loop, report=self._report_now, reload=self._reload_soon, stop=self._stop_soon):
            yield

    def _report_now(self) -> None:
        log.debug(Line("report_wanted", by="SIGUSR1"))
        self._reports.request()

    def _reload_soon(self) -> None:
        if self._orders.empty():
            self._orders.put_nowait(_Order.RELOAD)

    def _stop_soon(self) -> None:
        if self._stopping:
            self._hurry.set()
        self._stopping = True
        self._orders.put_nowait(_Order.STOP)

    # what the parts ask for and tell

    def _enter(self, access: Access) -> Membership:
        return Membership(access, Triggers(self._reports.request, self._state).answer, self._troubles)

    def _ended(self, end: Made | Exception) -> None:
        if isinstance(end, Exception):
            self._notifier.status(f"attempt {self._state.failures} to report failed: {self._state.error}")
            return
        self._couriers.wake()
        self._notifier.status(f"report {end.id}: {len(end.report.events)} events, {len(end.report.nodes)} nodes")

    def _delivered(self, outcome: Outcome) -> None:
        if state := self._state.destinations.get(outcome.id):
            state.add(outcome)

    async def _watchdog(self, reporting: asyncio.Task[object]) -> None:
        """Tell systemd that we are alive, for as long as the loop that reports comes round in time."""
        while self._notifier.watchdog:
            if not reporting.done() and asyncio.get_running_loop().time() < self._state.alive_until:
                self._notifier.alive()
            await asyncio.sleep(self._notifier.watchdog / 2)

    # configuration

    def _remember(self) -> None:
        """The last report of an earlier run, for who asks before there is one of this run."""
        last = records.status(self._store).last_report
        if last:
            self._state.last_report, self._state.last_report_at = last.id, last.collected_at

    async def _employ(self) -> None:
        """Let the couriers and the state know the destinations of the plan."""
        known = self._state.destinations
        self._state.destinations = {
            destination.id: known.get(destination.id)
            or DestinationState(destination.name, queued=self._store.queue.waiting(destination.id).events)
            for destination in self._plan.destinations
        }
        ambiguity = self._plan.settings.bridge.ambiguous_timeout
        await self._couriers.employ(self._plan.destinations, self._sender, ambiguity)

    def _tell_start(self) -> None:
        service = self._plan.settings.service
        where = ", ".join(destination.name for destination in self._plan.destinations)
        log.info(
            Line(
                "service_started",
                version=__version__,
                mode="reporting",
                reason=self._state.consent.reason,
                destinations=where or "none, JSON log only",
                first_report_in=f"{service.initial_report / 1000:g}s",
                then_every=f"{service.periodic_report / 1000:g}s",
            )
        )
        self._tell_notice()

    def _tell_notice(self) -> None:
        if self._state.consent.notice:
            where = ", ".join(destination.name for destination in self._plan.destinations)
            log.info(notice(self._plan.settings.bridge.log_dir, where))

    async def _reload(self) -> None:
        """Take over a new configuration whole, or keep the old one whole.

        Raises:
            ReportingOff: the new one withdraws consent.
        """
        self._notifier.reloading()
        try:
            new = self._read_plan()
            changed = changes(self._plan, new)
            # A CA file may have been renewed under its old name.
            renew = bool(changed & {"bridge.ca_file", "bridge.proxy"}) or bool(new.settings.bridge.ca_file)
            sender = make_sender(new.settings.bridge, self._environ) if renew else self._sender
        except Exception as error:
            if not isinstance(error, BridgeError):
                log.exception(Line("reload_failed", kept="the previous configuration"))
            for problem in str(error).splitlines() if isinstance(error, BridgeError) else ():
                log.error(Line("reload_refused", problem=problem, kept="the previous configuration"))  # noqa: TRY400
        else:
            self._state.consent = require(new.settings.service, self._environ)
            self._plan = new
            if "report" in changed:
                self._tell_notice()
            self._reports.replan(new)
            old, self._sender = self._sender, sender
            await self._employ()
            if old is not sender:
                await old.__aexit__(None, None, None)
            ignored = ", ".join(sorted(changed & NEEDS_RESTART)) or "nothing"
            log.info(Line("reloaded", changed=", ".join(sorted(changed)) or "nothing", needs_restart=ignored))
        self._notifier.ready("reloaded")

    async def _close_sender(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._sender.__aexit__(None, None, None)


@asynccontextmanager
async def _running(work: Coroutine[None, None, object]) -> AsyncIterator[asyncio.Task[object]]:
    """Something that goes on in the background for as long as the block does."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def _health(plan: Plan, state: ServiceState, store: Store) -> AsyncIterator[None]:
    """The health listener, where the configuration asks for one."""
    section = plan.settings.bridge.health
    if section.port is None:
        yield
        return
    from bridge.service.health import Health as HealthListener  # noqa: PLC0415 - off by default

    async with HealthListener(section, state, store):
        yield
