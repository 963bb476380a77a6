"""The nodes that are or were members: who answered the last report, and since when the others are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

    from bridge.report.model import Report

_NOT_A_MEMBER: Final = "no node of the cluster sees it any more"


def mark(connection: sqlite3.Connection, report: Report) -> None:
    """Remember who answered a report, and since when the others are missing."""
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


def forget(connection: sqlite3.Connection, which: str, value: str | int) -> bool:
    """Show missing nodes no longer that an SQL condition selects; whether there were any."""
    query = f"DELETE FROM nodes WHERE {which} AND missing_since IS NOT NULL"  # noqa: S608 - our own text
    return bool(connection.execute(query, (value,)).rowcount)
