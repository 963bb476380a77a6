"""An event and a report: what is logged, shown, queued and sent, the same values in all four."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - a struct's annotations are to be readable

from msgspec import Struct

from bridge.mongooseim.facts import StanzaTotals  # noqa: TC001 - as above

Value = str | int | float


class Event(Struct, frozen=True):
    """A GA4 event before GA4 knows of it: a name and flat params, as in `system_metrics_report.json`."""

    name: str
    params: Mapping[str, Value]


class StanzaCount(Struct, frozen=True):
    """One stanza type over the whole cluster: all that was counted, and what came since the last report."""

    stanza_type: str
    total: int
    increment: int


class Note(Struct, frozen=True):
    """Something that the operator should know about a report: who was not asked, what failed, what is counted twice."""

    kind: str
    """The log event that tells of it, as "node_not_asked"."""
    about: str
    """The node or the fact; empty where there can be one of a kind only."""
    what: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}" if self.remedy else self.what


class Report(Struct, frozen=True):
    """One report of one cluster. Everything is fixed at collection; nothing downstream asks again."""

    client_id: str
    collected_at: int
    """Microseconds since 1970 (UTC), GA4's timestamp_micros."""
    events: tuple[Event, ...]
    totals: StanzaTotals
    """The stanza totals to remember for the next report's increments."""
    nodes: Mapping[str, str | None] = {}
    """The nodes that answered, with their releases; for the operator only, never sent."""
    missing: Mapping[str, str] = {}
    """Members that did not answer, with the reason; never sent."""
    notes: tuple[Note, ...] = ()
