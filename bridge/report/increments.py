"""How many stanzas since the last report: never negative, whatever nodes did in between.

Counters start at 0 in each incarnation of a node. A total is therefore remembered per node and creation, and an
incarnation that was not seen before counts with its whole total (as MongooseIM's own first report does). exometer's
counters also start again when the application is restarted in a running node: a counter that went down did so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.mongooseim.facts import STANZA_TYPES, Incarnation, StanzaTotals

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class StanzaCount:
    """One stanza type over the whole cluster: all that was counted, and what came since the last report."""

    stanza_type: str
    total: int
    increment: int


def stanza_counts(previous: StanzaTotals, current: StanzaTotals) -> tuple[StanzaCount, ...]:
    """Sum the counters over the nodes, in the order of `STANZA_TYPES`; types that no node counts are left out."""
    return tuple(
        StanzaCount(
            stanza_type,
            sum(counters.get(stanza_type, 0) for counters in current.values()),
            sum(
                _increment(previous.get(incarnation, {}).get(stanza_type, 0), counters.get(stanza_type, 0))
                for incarnation, counters in current.items()
            ),
        )
        for stanza_type in STANZA_TYPES
        if any(stanza_type in counters for counters in current.values())
    )


def _increment(before: int, now: int) -> int:
    return now - before if now >= before else now


def remember(previous: StanzaTotals, current: StanzaTotals) -> StanzaTotals:
    """The totals to keep for the next report: one incarnation per node, and those of nodes not seen this time.

    A node that was only out of reach must not count again from 0 when it is back, so its last totals stay. A counter
    that one failed fact left out keeps its value for the same reason.
    """
    seen = {incarnation.node for incarnation in current}
    kept: dict[Incarnation, Mapping[str, int]] = {
        incarnation: counters for incarnation, counters in previous.items() if incarnation.node not in seen
    }
    for incarnation, counters in current.items():
        kept[incarnation] = {**previous.get(incarnation, {}), **counters}
    return kept
