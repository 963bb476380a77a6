"""What became of everything, as one value read from the state file at one moment; whoever shows something shows this.

Times are None where there was no such moment; counts are events unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - msgspec reads the annotations

from msgspec import Struct

from bridge.document import Document
from bridge.report.model import Note  # noqa: TC001 - as above
from bridge.state.queue import Outcome
from bridge.times import MICROSECONDS, Time, moment


class Processing(Struct, frozen=True):
    """What became of delivered events, where their destination says so: delivered is not processed."""

    processed: int
    failed: int
    unknown: int
    """Events of which it has not said it yet."""
    reason: str | None
    """Why events failed, or why nothing is known; the latest."""

    def __str__(self) -> str:
        counts = {"processed": self.processed, "not processed": self.failed, "not known yet": self.unknown}
        told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        return f"{told} ({self.reason})" if self.reason else told


class Delivery(Struct, frozen=True):
    """What became of a report at a destination; what is in no other number is `queued`."""

    destination: str
    id: str
    events: int
    delivered: int
    rejected: int
    dropped: int
    queued: int
    settled_at: Time | None
    error: str | None
    processing: Processing | None = None
    """None where the destination says nothing of it."""


class ReportStatus(Struct, frozen=True):
    """A past report without its events."""

    id: int
    collected_at: Time
    published_at: Time | None
    client_id: str
    events: int
    nodes: tuple[str, ...]
    notes: tuple[Note, ...]
    """What the operator should know about it."""
    deliveries: tuple[Delivery, ...]


class DeadLetter(Struct, frozen=True):
    """A batch that a destination refused, or that was given up and not for its age: which events, and why."""

    destination: str
    id: str
    """The destination's."""
    first: int
    events: int
    reason: str
    at: Time


class DestinationStatus(Struct, frozen=True):
    """One destination, configured now or once."""

    id: str
    name: str
    failing_since: Time | None = None
    """Set from the first failure until a delivery succeeds; refused and given-up events are failures, too."""
    failures: int = 0
    """Attempts in a row that have to be made again."""
    error: str | None = None
    """The last failure, also when it is over."""
    error_at: Time | None = None
    retry_at: Time | None = None
    queued_batches: int = 0
    queued_events: int = 0
    queued_bytes: int = 0
    oldest: Time | None = None
    """Collection time of the oldest report that waits."""
    counters: Mapping[str, int] = {}
    """Events by what became of them, over all time; the keys are those of `Outcome` but RETRY."""
    last_at: Mapping[str, Time] = {}
    """When that happened last, by the same keys."""
    processing: Processing | None = None
    """Of the reports in the history; None where the destination says nothing of it."""
    configured: bool = True
    """Whether the configuration has it now."""

    @property
    def delivered(self) -> int:
        """Events that were taken."""
        return self.counters.get(Outcome.DELIVERED, 0)

    @property
    def delivered_at(self) -> Time | None:
        """When events were last taken."""
        return self.last_at.get(Outcome.DELIVERED)

    @property
    def rejected(self) -> int:
        """Events that were refused for good."""
        return self.counters.get(Outcome.REJECTED, 0)

    @property
    def dropped(self) -> Mapping[str, int]:
        """Events that were given up, by the reason."""
        kept = {Outcome.DELIVERED, Outcome.REJECTED}
        return {reason: events for reason, events in self.counters.items() if reason not in kept}


class NodeStatus(Struct, frozen=True):
    """A node that is or was a member of the cluster."""

    name: str
    version: str | None
    seen_at: Time | None
    """When it last answered."""
    missing_since: Time | None
    """Since when it has not, at reports that were made; None for one that answered the last report."""
    reason: str | None


class ServiceStatus(Struct, frozen=True):
    """What the running service says of itself; kept in the state file, so that every process can show it."""

    version: str
    started_at: Time
    seen_at: Time
    """When it last came round."""
    period: float
    """Seconds between reports."""
    consent: str
    """Why it reports."""
    notice: bool = False
    """Whether the operator has not said anything, and the notice was given."""
    next_report_at: Time | None = None
    reports: int = 0
    """Reports made since the start."""
    failures: int = 0
    """Attempts in a row that collected nothing; 0 while all is well."""
    error: str | None = None
    """Why the last attempt collected nothing."""
    last_duration: float | None = None
    """Seconds that collecting the last report took."""
    reload_error: str | None = None
    """Why the last new configuration was refused; None where it was taken."""


class Status(Document, frozen=True):
    """All that there is to show."""

    now: Time
    service: ServiceStatus | None = None
    """None where no service runs."""
    reports: tuple[ReportStatus, ...] = ()
    """The latest, newest first."""
    nodes: tuple[NodeStatus, ...] = ()
    destinations: tuple[DestinationStatus, ...] = ()

    @property
    def last_report(self) -> ReportStatus | None:
        """The newest report, published or not."""
        return self.reports[0] if self.reports else None

    @property
    def last_published(self) -> ReportStatus | None:
        """The newest report whose JSON log is complete."""
        return next((report for report in self.reports if report.published_at is not None), None)

    @property
    def not_ready(self) -> str | None:
        """Why the service is not doing its job: no report since it started, or none for more than two periods.

        Within two periods a report was made on time and the next may still be in its retries.
        """
        service, last = self.service, self.last_report
        if service is None:
            return "no service is running"
        attempts = "1 attempt" if service.failures == 1 else f"{service.failures} attempts in a row"
        failed = f"; {attempts} collected nothing: {service.error}" if service.failures else ""
        if last is None or not service.reports:
            due = f"; the next attempt is at {moment(service.next_report_at)}" if service.next_report_at else ""
            return f"no report since the start at {moment(service.started_at)}{failed}{due}"
        if service.failures and self.now > last.collected_at + 2 * service.period * MICROSECONDS:
            return f"the last report is of {moment(last.collected_at)}{failed}"
        return None


class StatusDocument(Status, frozen=True, kw_only=True):
    """The status, and what the configuration and the operator have to do with it."""

    reporting: bool
    """Whether reports are made."""
    reason: str
    """Why, or why not."""
    agreed: int
    """The contract that the operator agreed to."""
