"""What the running service knows of itself: written by the loop that reports, read by `status`, health and metrics."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.delivery.deliver import Outcome
    from bridge.mongooseim.facts import ClusterFacts
    from bridge.service.consent import Consent


@dataclass(slots=True)
class DestinationState:
    """What became of events since the service started, and what is left of all time."""

    name: str
    delivered: int = 0
    rejected: int = 0
    dropped: int = 0
    queued: int = 0
    error: str | None = None
    """Why something is queued, rejected or dropped; None when all is well."""

    def add(self, outcome: Outcome) -> None:
        """Count what one delivery did."""
        self.delivered += outcome.delivered
        self.rejected += outcome.rejected
        self.dropped += outcome.dropped
        self.queued = outcome.queued
        self.error = outcome.error


@dataclass(slots=True)
class ServiceState:
    """One service from its start to its end. Times are microseconds since 1970, durations seconds."""

    consent: Consent
    started_at: int
    period: float
    """Seconds between reports."""
    destinations: dict[str, DestinationState] = field(default_factory=dict)
    """By `Destination.id`, in the order of the configuration."""
    alive_until: float = math.inf
    """By when the loop will have come round again, in the event loop's time; later than that it is stuck."""
    next_report_at: int | None = None
    reports: int = 0
    """Reports made since the start."""
    failures: int = 0
    """Attempts in a row that collected nothing; 0 while all is well."""
    error: str | None = None
    """Why the last attempt collected nothing."""
    last_report: int | None = None
    """Id of the last report in the history."""
    last_report_at: int | None = None
    last_duration: float | None = None
    """How long collecting the last report took."""
    last_events: int | None = None
    facts: ClusterFacts | None = None
    """The cluster as the last report saw it."""
