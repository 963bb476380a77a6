"""How many stanzas since the last report: never negative, whatever nodes did in between.

Counters start at 0 in each incarnation of a node. A total is therefore remembered per incarnation, and one that was
not seen before counts with its whole total (as MongooseIM's own first report does). A counter that went down within an
incarnation was restarted, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.mongooseim.facts import STANZA_TYPES, Incarnation, StanzaTotals
from bridge.report.model import StanzaCount

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Mapping


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


def read_totals(connection: sqlite3.Connection) -> StanzaTotals:
    """The stanza counters of the last report, by incarnation."""
    totals: dict[Incarnation, dict[str, int]] = {}
    for node, creation, stanza_type, total in connection.execute(
        "SELECT node, creation, stanza_type, total FROM totals"
    ):
        totals.setdefault(Incarnation(node, creation), {})[stanza_type] = total
    return totals


def replace_totals(connection: sqlite3.Connection, totals: StanzaTotals, nodes: Collection[str]) -> None:
    """Keep these counters instead of all others.

    Those of nodes that no report in the history has seen are forgotten: they were renamed or removed. What is only out
    of reach for a while keeps them for as long as the history reaches back (`history_days`).

    Args:
        connection: in a transaction that has added the report.
        totals: the counters.
        nodes: those that the report has seen.
    """
    connection.execute("DELETE FROM totals")
    connection.executemany(
        "INSERT INTO totals (node, creation, stanza_type, total) VALUES (?, ?, ?, ?)",
        [
            (incarnation.node, incarnation.number, stanza_type, total)
            for incarnation, counters in totals.items()
            for stanza_type, total in counters.items()
        ],
    )
    if {incarnation.node for incarnation in totals}.difference(nodes):
        connection.execute("DELETE FROM totals WHERE node NOT IN (SELECT value FROM reports, json_each(reports.nodes))")
