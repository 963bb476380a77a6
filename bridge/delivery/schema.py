"""The tables of the state file, and how a file is recognised as one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.delivery.errors import StoreDamaged, StoreTooNew

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID: Final = 0x4D494D42
"""PRAGMA application_id: "MIMB"."""
VERSION: Final = 1
"""PRAGMA user_version; a change of the tables adds one and the statements that lead there."""

_TABLES: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- The last stanza counters of every incarnation of a node, from which the next report's increments are taken.
CREATE TABLE totals (
  node TEXT, creation INTEGER, stanza_type TEXT, total INTEGER,
  PRIMARY KEY (node, creation, stanza_type)
) WITHOUT ROWID;

CREATE TABLE reports (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  collected_at INTEGER NOT NULL,   -- microseconds since 1970
  boot TEXT NOT NULL,              -- with elapsed: when it was added by the clock that does not jump
  elapsed INTEGER NOT NULL,
  published_at INTEGER,            -- when the JSON log had it; nothing is sent before
  client_id TEXT NOT NULL,
  events INTEGER NOT NULL,
  nodes TEXT NOT NULL,             -- JSON
  notes TEXT NOT NULL,             -- JSON
  body BLOB NOT NULL               -- the events, JSON, deflated
);
CREATE INDEX reports_unpublished ON reports (id) WHERE published_at IS NULL;
CREATE INDEX reports_age ON reports (collected_at, boot, elapsed);

CREATE TABLE destinations (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,        -- Destination.id; no secret
  name TEXT NOT NULL,
  delivered_at INTEGER,            -- last success
  error TEXT, error_at INTEGER,    -- last failure
  retry_at INTEGER,                -- next attempt, while it fails
  not_before INTEGER               -- by the destination's own Retry-After
);

-- One row per batch and destination that is still to be sent. Bodies come last: counting must not read them.
CREATE TABLE queue (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  report INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
  destination INTEGER NOT NULL REFERENCES destinations (id),
  first INTEGER NOT NULL,
  events INTEGER NOT NULL,
  size INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  claimed_by TEXT,
  body BLOB NOT NULL
);
CREATE INDEX queue_order ON queue (destination, attempts, id);
CREATE INDEX queue_counts ON queue (report, destination, events, size);
CREATE INDEX queue_claims ON queue (claimed_by) WHERE claimed_by IS NOT NULL;

-- Batches that nobody holds, once the owners that are no more have been removed.
CREATE VIEW free AS SELECT * FROM queue WHERE claimed_by IS NULL OR claimed_by NOT IN (SELECT owner FROM owners);

-- Who may hold claims, and until when by Clock.elapsed.
CREATE TABLE owners (owner TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;

-- What became of a report at a destination, in events; what is in no column yet is still queued.
CREATE TABLE outcomes (
  report INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
  destination INTEGER NOT NULL REFERENCES destinations (id),
  events INTEGER NOT NULL,
  delivered INTEGER NOT NULL DEFAULT 0,
  rejected INTEGER NOT NULL DEFAULT 0,
  dropped INTEGER NOT NULL DEFAULT 0,
  settled_at INTEGER,
  error TEXT,
  PRIMARY KEY (report, destination)
) WITHOUT ROWID;

-- Batches that a destination refused for good; their events are in the report.
CREATE TABLE dead_letters (
  id INTEGER PRIMARY KEY,
  report INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
  destination INTEGER NOT NULL REFERENCES destinations (id),
  first INTEGER NOT NULL,
  events INTEGER NOT NULL,
  reason TEXT NOT NULL,
  at INTEGER NOT NULL
);
CREATE INDEX dead_letters_of ON dead_letters (report, destination);

CREATE TABLE drops (
  destination INTEGER NOT NULL REFERENCES destinations (id),
  reason TEXT NOT NULL,
  batches INTEGER NOT NULL,
  events INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (destination, reason)
) WITHOUT ROWID;
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Recognise the file, or create the tables in an empty one; the caller keeps other processes out.

    Raises:
        StoreDamaged: it is a database of something else.
        StoreTooNew: a newer release wrote it.
        sqlite3.Error: it is no database, or cannot be read or written.
    """
    application, version = _number(connection, "application_id"), _number(connection, "user_version")
    if application == APPLICATION_ID and version == VERSION:
        return
    if application == APPLICATION_ID and version > VERSION:
        raise StoreTooNew(
            f"the state file is of format {version}, this release knows {VERSION}; "
            "run the newer release, or name another bridge.state_dir"
        )
    if _number(connection, "schema_version") or application or version:
        raise StoreDamaged("it is a database of another program")
    # Takes effect only before the first table: what a long outage filled is given back to the disk afterwards.
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.executescript(
        f"BEGIN IMMEDIATE; {_TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
    )


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    (number,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)
