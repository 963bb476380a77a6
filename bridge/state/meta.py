"""Single values that are kept: the table `meta`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

CLIENT_ID: Final = "client_id"
CONTRACT: Final = "contract"
SERVICE: Final = "service"
"""What the running service says of itself, as JSON."""


def read(connection: sqlite3.Connection, key: str) -> str | None:
    """The value of a key, where there is one."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return str(row[0]) if row else None


def write(connection: sqlite3.Connection, key: str, value: str | int | None) -> None:
    """Keep a value, or none any more."""
    connection.execute("DELETE FROM meta WHERE key = ?", (key,))
    if value is not None:
        connection.execute("INSERT INTO meta VALUES (?, ?)", (key, value))
