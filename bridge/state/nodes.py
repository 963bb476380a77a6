"""The nodes that are or were members: who answered the last report, and since when the others are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.times import MICROSECONDS

if TYPE_CHECKING:
    import sqlite3

    from bridge.report.model import Report

_DAY: Final = 86_400 * MICROSECONDS
_NOT_A_MEMBER: Final = "no node of the cluster sees it any more"


def mark(connection: sqlite3.Connection, report: Report, days: int) -> None:
    """Remember who answered a report, and since when the others are missing, for so many days."""
    now = report.collected_at
    connection.executemany(
        "INSERT OR REPLACE INTO nodes VALUES (?, ?, ?, NULL, NULL)",
        [(name, version, now) for name, version in report.nodes.items()],
    )
    connection.executemany(
        """
        INSERT INTO nodes VALUES (?, NULL, NULL, ?, ?) ON CONFLICT (name) DO UPDATE
        SET missing_since = COALESCE(missing_since, excluded.missing_since), reason = excluded.reason
        """,
        [(name, now, reason) for name, reason in report.missing.items()],
    )
    known = (*report.nodes, *report.missing)
    connection.execute(
        f"""
        UPDATE nodes SET missing_since = COALESCE(missing_since, ?), reason = ?
        WHERE name NOT IN ({", ".join("?" * len(known))})
        """,  # noqa: S608 - question marks
        (now, _NOT_A_MEMBER, *known),
    )
    connection.execute("DELETE FROM nodes WHERE missing_since <= ?", (now - days * _DAY,))


def forget(connection: sqlite3.Connection, name: str) -> bool:
    """Show a missing node no longer; whether there was a missing one of that name."""
    query = "DELETE FROM nodes WHERE name = ? AND missing_since IS NOT NULL"
    return bool(connection.execute(query, (name,)).rowcount)
