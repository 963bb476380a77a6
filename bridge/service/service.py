"""The service from its start to its end: starts the parts, takes signals and new configurations."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Final

from bridge import __version__
from bridge.conditions import Conditions
from bridge.config.consent import notice, require
from bridge.errors import BridgeError
from bridge.log import Line
from bridge.service.changes import NEEDS_RESTART, NEEDS_SENDER, changes
from bridge.service.deliveries import Deliveries
from bridge.service.loop import ReportLoop
from bridge.service.membership import Membership
from bridge.service.reporting import log_new_facts, preview_report
from bridge.service.signals import handled
from bridge.service.triggers import Triggers

if TYPE_CHECKING:
    from bridge.app import Installation
    from bridge.delivery.sender import Sender
    from bridge.report.model import Report
    from bridge.service.reporting import Made
    from bridge.service.sd_notify import Notifier
    from bridge.service.verification import Verification
    from bridge.state.state import State

log = logging.getLogger(__name__)

FINISH_SECONDS: Final = 3.0
"""How long a report that is under way may go on once the service was told to stop."""
FLUSH_SECONDS: Final = 5.0
"""How long deliveries may go on after that. With a reload in between it makes less than the 10 s that are promised."""
VERIFY_SECONDS: Final = 30.0
"""Between looks at what was delivered; a report can be proved for 24 minutes."""


class _Order(Enum):
    STOP = "stop"
    RELOAD = "reload"


class Service:
    """One run of the service; `run` returns when it was told to stop."""

    _state: State
    _sender: Sender
    _deliveries: Deliveries

    def __init__(self, installation: Installation, notifier: Notifier) -> None:
        """Prepare; nothing is opened before `run`.

        Args:
            installation: what to run by.
            notifier: of systemd.
        """
        self._installation = installation
        self._notifier = notifier
        self._orders: asyncio.Queue[_Order] = asyncio.Queue()
        self._conditions = Conditions()
        self._reports: ReportLoop | None = None
        """None where another process collects."""

    async def run(self) -> None:
        """Report until told to stop; then finish or queue what is under way.

        Raises:
            ReportingOff: there is no consent, or it was withdrawn by a new configuration.
            StateBusy: another service has the state directory.
            BridgeError: the state directory or the health listener cannot be used.
        """
        installation = self._installation
        require(installation.consent)
        self._sender = installation.sender()
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._close_sender)
            self._state = stack.enter_context(installation.state())
            if installation.role.collects:
                await stack.enter_async_context(self._state.serving())
                self._reports = ReportLoop(
                    installation, self._state, self._conditions, enter=self._enter, ended=self._ended
                )
            self._deliveries = Deliveries(self._state, self._conditions)
            stack.push_async_callback(self._deliveries.end, 0.0)
            loop = asyncio.get_running_loop()
            stack.enter_context(handled(loop, report=self._report_now, reload=self._reload_soon, stop=self._stop_soon))
            await self._deliveries.configure(installation, self._sender)
            self._log_start()
            if installation.role.collects:
                log_new_facts(self._state.agreed(), installation.settings)
            if installation.settings.bridge.health.port is not None:
                from bridge.health.server import HealthListener  # noqa: PLC0415 - off by default, and slow to import

                preview = self._preview if installation.role.collects else None
                listener = HealthListener(lambda: self._installation, self._state, self._stuck, preview)
                await stack.enter_async_context(listener)
                log.info(Line("health_listening", page=listener.address))
            try:
                await self._work()
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from errors
        log.info(Line("service_stopped"))

    async def _work(self) -> None:
        """Everything between start and stop."""
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._notifier.watch(self._stuck))
            reporting = group.create_task(self._reports.run()) if self._reports else None
            verifying = group.create_task(self._verify()) if self._installation.role.delivers else None
            self._notifier.ready("started")
            while await self._orders.get() is _Order.RELOAD:
                await self._reload()
            self._notifier.stopping()
            finishing = group.create_task(self._finish(reporting))
            while await self._orders.get() is _Order.RELOAD:
                pass  # only a second order to stop cuts short what is under way
            for task in (watching, reporting, verifying, finishing):
                if task:
                    task.cancel()

    async def _verify(self) -> None:
        """Prove that reports have arrived, where the configuration wants it."""
        verification: Verification | None = None
        while True:
            if self._installation.settings.bridge.google.verify:
                from bridge.service.verification import Verification  # noqa: PLC0415 - off by default, and takes 20 ms

                if verification is None or verification.installation is not self._installation:
                    verification = Verification(self._installation, self._sender, self._state, self._conditions)
                await verification.look()
            await asyncio.sleep(VERIFY_SECONDS)

    async def _finish(self, reporting: asyncio.Task[None] | None) -> None:
        """Finish what is under way, or leave it in the queue."""
        if self._reports and reporting:
            self._reports.stop()
            await asyncio.wait({reporting}, timeout=FINISH_SECONDS)
            reporting.cancel()
        await self._deliveries.end(FLUSH_SECONDS)
        self._orders.put_nowait(_Order.STOP)

    async def _close_sender(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._sender.close()

    # signals

    def _report_now(self) -> None:
        log.debug(Line("report_wanted", by="SIGUSR1"))
        if self._reports:
            self._reports.request()

    def _reload_soon(self) -> None:
        if self._orders.empty():
            self._orders.put_nowait(_Order.RELOAD)

    def _stop_soon(self) -> None:
        self._orders.put_nowait(_Order.STOP)

    # what the parts ask for, and what they end with

    def _enter(self, installation: Installation) -> Membership:
        assert self._reports
        triggers = Triggers(self._reports.request, lambda: self._installation.document(self._state))
        return Membership(installation, triggers.answer, self._conditions)

    def _ended(self, end: Made | Exception) -> None:
        assert self._reports
        status = self._reports.status
        if isinstance(end, Exception):
            self._notifier.status(f"attempt {status.failures} to report failed: {status.error}")
            return
        self._deliveries.wake()
        self._notifier.status(f"report {end.id}: {len(end.report.events)} events, {len(end.report.nodes)} nodes")

    def _stuck(self) -> str | None:
        """Why the service is stuck; None while its loop comes round in time."""
        late = asyncio.get_running_loop().time() - self._reports.alive_until if self._reports else 0.0
        return f"the reporting loop is stuck: {late:.0f} s later than it should have come round" if late > 0 else None

    async def _preview(self) -> Report:
        """Beside the connections of the service, whose name it leaves alone."""
        return await preview_report(partial(self._installation.ask_cluster, named=False), self._installation)

    def _log_start(self) -> None:
        settings = self._installation.settings
        more: dict[str, object] = {}
        if self._reports:
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
            sender = new.sender() if changed & NEEDS_SENDER else self._sender
        except Exception as error:
            if self._reports:
                self._reports.reload_refused(str(error) or type(error).__name__)
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
            if self._reports:
                self._reports.reload(new)
            old, self._sender = self._sender, sender
            await self._deliveries.configure(new, sender)
            if old is not sender:
                await old.close()
            ignored = ", ".join(sorted(changed & NEEDS_RESTART)) or "nothing"
            log.info(Line("reloaded", changed=", ".join(sorted(changed)) or "nothing", needs_restart=ignored))
        self._notifier.ready("reloaded")
