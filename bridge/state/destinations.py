"""The destinations, configured now or once: how each has behaved, what waits for it, what became of all the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from msgspec.structs import replace

from bridge.state import history
from bridge.state.status import DestinationStatus

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from bridge.state.queue import Target


def key_of(connection: sqlite3.Connection, target: Target) -> int:
    """The id of the row of a destination, which has its present name from now on."""
    connection.execute(
        "INSERT INTO destinations (key, name) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET name = excluded.name",
        (target.id, target.name),
    )
    (key,) = connection.execute("SELECT id FROM destinations WHERE key = ?", (target.id,)).fetchone()
    return int(key)


def read(connection: sqlite3.Connection, configured: Mapping[str, str] | None) -> tuple[DestinationStatus, ...]:
    """Those of the configuration in its order, then those that were configured once.

    Args:
        connection: in a transaction.
        configured: id and name of each; None where it is not known.
    """
    rows = connection.execute(
        """
        SELECT destinations.id, key, name, failing_since, failures, error, error_at, retry_at,
        COALESCE(queued.batches, 0), COALESCE(queued.events, 0), COALESCE(queued.bytes, 0), collected_at,
        (SELECT json_group_object(outcome, events) FROM counters WHERE destination = destinations.id),
        (SELECT json_group_object(outcome, last_at) FROM counters WHERE destination = destinations.id)
        FROM destinations LEFT JOIN (
          SELECT destination, COUNT(*) AS batches, SUM(events) AS events, SUM(size) AS bytes, MIN(report) AS oldest
          FROM batches INDEXED BY batches_queued WHERE outcome IS NULL GROUP BY destination
        ) AS queued ON queued.destination = destinations.id LEFT JOIN reports ON reports.id = oldest
        ORDER BY destinations.id
        """
    ).fetchall()
    known = {}
    for number, *fields, counters, last_at in rows:
        processing = history.processing(connection, "destination = ?", number)
        row = (*fields, json.loads(counters), json.loads(last_at), processing)
        known[fields[0]] = history.value_of(DestinationStatus, row)
    if configured is None:
        return tuple(known.values())
    present = [known.pop(key, DestinationStatus(key, name)) for key, name in configured.items()]
    return (*present, *(replace(destination, configured=False) for destination in known.values()))
