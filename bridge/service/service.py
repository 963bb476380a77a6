"""The service from its start to its end: starts the parts, takes signals and new configurations."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from bridge import __version__
from bridge.conditions import Conditions
from bridge.config.consent import notice, require
from bridge.errors import BridgeError
from bridge.log import Line
from bridge.service.deliveries import Deliveries
from bridge.service.loop import NoReports, ReportLoop
from bridge.service.membership import Membership
from bridge.service.reporting import preview_report
from bridge.service.signals import handled
from bridge.service.triggers import Triggers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Iterator

    from bridge.app import Installation
    from bridge.config.access import Access
    from bridge.delivery.sender import Sender
    from bridge.report.model import Report
    from bridge.service.reporting import Made
    from bridge.service.sd_notify import Notifier
    from bridge.state.state import State

log = logging.getLogger(__name__)

FINISH_SECONDS: Final = 3.0
"""How long a report that is under way may go on once the service was told to stop."""
FLUSH_SECONDS: Final = 5.0
"""How long deliveries may go on after that. With a reload in between it makes less than the 10 s that are promised."""
NEEDS_RESTART: Final = frozenset(
    f"bridge.{key}"
    for key in ("state_dir", "queue_max_batches", "queue_max_bytes", "history_days", "missing_days", "health")
)
"""Keys that a running service does not take over; all others it does."""


class _Order(Enum):
    STOP = "stop"
    RELOAD = "reload"


class Service:
    """One run of the service; `run` returns when it was told to stop."""

    _state: State
    _sender: Sender
    _deliveries: Deliveries
    _reports: ReportLoop | NoReports

    def __init__(self, installation: Installation, notifier: Notifier) -> None:
        """Prepare; nothing is opened before `run`.

        Args:
            installation: what to run by.
            notifier: of systemd.
        """
        self._installation = installation
        self._notifier = notifier
        self._orders: asyncio.Queue[_Order] = asyncio.Queue()
        self._at_once = asyncio.Event()
        self._stopping = False
        self._conditions = Conditions()

    async def run(self) -> None:
        """Report until told to stop; then finish or queue what is under way.

        Raises:
            ReportingOff: there is no consent, or it was withdrawn by a new configuration.
            StateBusy: another service has the state directory.
            BridgeError: the state directory or the health listener cannot be used.
        """
        require(self._installation.consent)
        self._sender = self._installation.sender()
        with self._installation.state() as self._state:
            collects = self._installation.role.collects
            async with self._state.serving() if collects else nullcontext():
                self._deliveries = Deliveries(self._state, self._conditions)
                self._reports = self._report_loop() if collects else NoReports()
                with self._signals():
                    try:
                        await self._work()
                    finally:
                        await self._deliveries.end(0.0)
                        with suppress(TimeoutError):
                            async with asyncio.timeout(1.0):
                                await self._sender.close()
        log.info(Line("service_stopped"))

    async def _work(self) -> None:
        """Everything between start and stop."""
        await self._deliveries.configure(self._installation, self._sender)
        self._log_start()
        async with AsyncExitStack() as stack:
            if self._installation.settings.bridge.health.port is not None:
                from bridge.health.server import HealthListener  # noqa: PLC0415 - off by default, and slow to import

                preview = self._preview if self._installation.role.collects else None
                listener = HealthListener(self._installation, self._state, self._stuck, preview)
                await stack.enter_async_context(listener)
                log.info(Line("health_listening", page=listener.address))
            reporting = await stack.enter_async_context(_running(self._reports.run()))
            await stack.enter_async_context(_running(self._notifier.watch(self._stuck)))
            reporting.add_done_callback(lambda _: self._orders.put_nowait(_Order.STOP))
            self._notifier.ready("started")
            while await self._orders.get() is _Order.RELOAD:
                await self._reload()
            self._notifier.stopping()
            await self._finish(reporting)

    async def _finish(self, reporting: asyncio.Task[object]) -> None:
        """Finish what is under way, or leave it in the queue; a second signal cuts both short."""
        self._reports.stop()
        await self._at_most(reporting, FINISH_SECONDS)
        if reporting.done() and not reporting.cancelled() and (error := reporting.exception()):
            raise error
        async with _running(self._deliveries.end(FLUSH_SECONDS)) as flush:
            await self._at_most(flush, FLUSH_SECONDS + 1)

    async def _at_most(self, task: asyncio.Task[object], seconds: float) -> None:
        async with _running(self._at_once.wait()) as at_once:
            await asyncio.wait({task, at_once}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
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
            self._at_once.set()
        self._stopping = True
        self._orders.put_nowait(_Order.STOP)

    # what the parts ask for, and what they end with

    def _report_loop(self) -> ReportLoop:
        return ReportLoop(self._installation, self._state, self._conditions, enter=self._enter, ended=self._ended)

    def _enter(self, installation: Installation) -> Membership:
        triggers = Triggers(self._reports_request, self._state)
        return Membership(installation, triggers.answer, self._conditions)

    def _reports_request(self) -> asyncio.Future[Made]:
        assert isinstance(self._reports, ReportLoop)
        return self._reports.request()

    def _ended(self, end: Made | Exception) -> None:
        assert isinstance(self._reports, ReportLoop)
        status = self._reports.status
        if isinstance(end, Exception):
            self._notifier.status(f"attempt {status.failures} to report failed: {status.error}")
            return
        self._deliveries.wake()
        self._notifier.status(f"report {end.id}: {len(end.report.events)} events, {len(end.report.nodes)} nodes")

    def _stuck(self) -> str | None:
        """Why the service is stuck; None while its loop comes round in time."""
        late = asyncio.get_running_loop().time() - self._reports.alive_until
        return f"the reporting loop is stuck: {late:.0f} s later than it should have come round" if late > 0 else None

    async def _preview(self) -> Report:
        """Beside the connections of the service, whose name it leaves alone."""
        return await preview_report(partial(self._installation.ask_cluster, named=False), self._installation)

    def _log_start(self) -> None:
        settings = self._installation.settings
        more: dict[str, object] = {}
        if isinstance(self._reports, ReportLoop):
            more["first_report_in"] = f"{self._reports.first_report_in:g}s"
            more["then_every"] = f"{settings.service.periodic_report / 1000:g}s"
        if not settings.bridge.health.port:
            more["page"] = "none, bridge.health.port is not set"
        log.info(
            Line(
                "service_started",
                version=__version__,
                mode=self._installation.role.value,
                reason=self._installation.consent.reason,
                destinations=self._destinations() or "none, JSON log only",
                **more,
            )
        )
        self._log_notice()

    def _log_notice(self) -> None:
        if self._installation.consent.notice:
            log.info(notice(self._installation.settings.bridge.log_dir, self._destinations()))

    def _destinations(self) -> str:
        return ", ".join(destination.name for destination in self._installation.targets)

    # configuration

    async def _reload(self) -> None:
        """Take over a new configuration whole, or keep the old one whole.

        Raises:
            ReportingOff: the new one withdraws consent.
        """
        self._notifier.reloading()
        try:
            new = self._installation.reload()
            changed = changes(self._installation, new)
            sender = new.sender() if changed & {"bridge.ca_file", "bridge.proxy", "destinations"} else self._sender
        except Exception as error:
            if not isinstance(error, BridgeError):
                log.exception(Line("reload_failed", kept="the previous configuration"))
            for problem in str(error).splitlines() if isinstance(error, BridgeError) else ():
                log.error(Line("reload_refused", problem=problem, kept="the previous configuration"))  # noqa: TRY400
        else:
            require(new.consent)
            new.set_up_log()
            self._installation = new
            if "report" in changed:
                self._log_notice()
            self._reports.reload(new)
            old, self._sender = self._sender, sender
            await self._deliveries.configure(new, sender)
            if old is not sender:
                await old.close()
            ignored = ", ".join(sorted(changed & NEEDS_RESTART)) or "nothing"
            log.info(Line("reloaded", changed=", ".join(sorted(changed)) or "nothing", needs_restart=ignored))
        self._notifier.ready("reloaded")


def changes(old: Installation, new: Installation) -> frozenset[str]:
    """The keys whose values differ; what lies in files counts for the key that names them."""
    sections = {
        "": (old.settings.service, new.settings.service),
        "bridge.": (old.settings.bridge, new.settings.bridge),
    }
    changed = {
        f"{prefix}{field.name}"
        for prefix, (before, after) in sections.items()
        for field in msgspec.structs.fields(before)
        if getattr(before, field.name) != getattr(after, field.name)
    }
    parts: dict[str, tuple[object, object]] = {
        "bridge.ca_file": (old.ca_contents, new.ca_contents),
        "destinations": ((old.targets, old.destinations), (new.targets, new.destinations)),
    }
    if new.role.collects:
        parts |= _parts_of_access(old.access, new.access)
    return frozenset(changed | {key for key, (before, after) in parts.items() if before != after})


def _parts_of_access(old: Access, new: Access) -> dict[str, tuple[object, object]]:
    return {
        "cookie": (old.cookie.secret, new.cookie.secret),
        "bridge.tls": ((old.tls, old.tls_files), (new.tls, new.tls_files)),
        "bridge.nodes": (old.entries, new.entries),
    }


@asynccontextmanager
async def _running(work: Coroutine[None, None, object]) -> AsyncIterator[asyncio.Task[object]]:
    """Something that goes on in the background for as long as the block does."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})
