"""An event and a report: what is logged, shown, queued and sent, the same values in all four."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.mongooseim.facts import StanzaTotals

Value = str | int | float


@dataclass(frozen=True, slots=True)
class Event:
    """A GA4 event before GA4 knows of it: a name and flat params, as in `system_metrics_report.json`."""

    name: str
    params: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Report:
    """One report of one cluster. Everything is fixed at collection; nothing downstream asks again."""

    client_id: str
    collected_at: int
    """Microseconds since 1970 (UTC), GA4's timestamp_micros."""
    events: tuple[Event, ...]
    totals: StanzaTotals
    """The stanza totals to remember for the next report's increments."""
    nodes: tuple[str, ...] = ()
    """Node names seen, for the operator's history only; never sent."""
    notes: tuple[str, ...] = ()
