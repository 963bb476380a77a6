"""The tables of the state file, and how a file is recognized as one of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.state.errors import StateDamaged, StateTooNew

if TYPE_CHECKING:
    import sqlite3

APPLICATION_ID: Final = 0x4D494D42
"""PRAGMA application_id: "MIMB"."""
VERSION: Final = 4
"""PRAGMA user_version; a change of the tables adds one, and the statements that lead there to `_MIGRATIONS`."""

_ADDED_IN_2: Final = """
-- What became of events at a destination over all time, by outcome.
CREATE TABLE counters (
  destination INTEGER NOT NULL REFERENCES destinations (id),
  outcome TEXT NOT NULL,
  events INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (destination, outcome)
) WITHOUT ROWID;

-- Every node that was ever a member, until it is forgotten.
CREATE TABLE nodes (
  name TEXT PRIMARY KEY,
  version TEXT,
  seen_at INTEGER,                 -- when it last answered
  missing_since INTEGER,           -- since when it has not
  reason TEXT
) WITHOUT ROWID;
"""

_ADDED_IN_3: Final = """
-- Requests that a destination took and processes afterwards; it is asked by the receipt what became of them.
CREATE TABLE receipts (
  id INTEGER PRIMARY KEY,
  report INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
  destination INTEGER NOT NULL REFERENCES destinations (id),
  receipt TEXT NOT NULL,
  events INTEGER NOT NULL,
  taken_at INTEGER NOT NULL,
  ask_at INTEGER,                  -- null when it was answered, or is asked no longer
  failed INTEGER,                  -- events that were not processed; null until it is answered
  reason TEXT                      -- why not, or why there is no answer
);
CREATE INDEX receipts_due ON receipts (destination, ask_at);
CREATE INDEX receipts_of ON receipts (report, destination);
"""

_ADDED_IN_4: Final = """
-- What a destination gets of a report: a row per request, and what became of its events. The body comes last, so that
-- counting does not read it.
CREATE TABLE batches (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  report INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
  destination INTEGER NOT NULL REFERENCES destinations (id),
  first INTEGER NOT NULL,          -- index in the report of its first event
  events INTEGER NOT NULL,
  size INTEGER NOT NULL DEFAULT 0,
  attempts INTEGER NOT NULL DEFAULT 0,
  outcome TEXT,                    -- null while it is queued
  at INTEGER,                      -- when it was settled, or failed last
  reason TEXT,                     -- why it was not taken
  body BLOB                        -- while it is queued
);
CREATE INDEX batches_queued ON batches (destination, attempts, id, report, events, size, outcome) WHERE outcome IS NULL;
CREATE INDEX batches_of ON batches (report, destination, outcome, events, at);
CREATE INDEX batches_failed ON batches (report, destination, at) WHERE reason IS NOT NULL;
"""

_TABLES: Final = f"""
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
  failing_since INTEGER,           -- no delivery has succeeded since then
  failures INTEGER NOT NULL DEFAULT 0,
  error TEXT, error_at INTEGER,    -- last failure
  retry_at INTEGER,                -- next attempt, while one is due
  not_before INTEGER               -- by the destination's own Retry-After
);
{_ADDED_IN_2}{_ADDED_IN_3}{_ADDED_IN_4}
"""

_CHANGED_IN_2: Final = """
INSERT INTO counters SELECT destination, reason, events, last_at FROM drops;
INSERT INTO counters SELECT outcomes.destination, 'delivered', SUM(delivered), MAX(COALESCE(delivered_at, settled_at))
FROM outcomes JOIN destinations ON destinations.id = destination WHERE delivered > 0 GROUP BY outcomes.destination;
INSERT INTO counters SELECT destination, 'rejected', SUM(events), MAX(at) FROM dead_letters GROUP BY destination;
DROP VIEW free;
DROP TABLE drops;
DROP TABLE owners;
DROP INDEX queue_claims;
ALTER TABLE queue DROP COLUMN claimed_by;
ALTER TABLE destinations DROP COLUMN delivered_at;
ALTER TABLE destinations ADD COLUMN failing_since INTEGER;
ALTER TABLE destinations ADD COLUMN failures INTEGER NOT NULL DEFAULT 0;
UPDATE destinations SET failing_since = error_at, failures = 1 WHERE retry_at IS NOT NULL;
DELETE FROM meta WHERE key != 'client_id';
"""

_CHANGED_IN_4: Final = """
INSERT INTO batches SELECT queue.id, report, destination, first, queue.events, size, attempts, NULL, NULL, error, body
FROM queue JOIN outcomes USING (report, destination);
INSERT INTO batches (report, destination, first, events, outcome, at)
SELECT report, destination, 0, delivered, 'delivered', settled_at FROM outcomes WHERE delivered > 0;
INSERT INTO batches (report, destination, first, events, outcome, at, reason)
SELECT report, destination, first, events,
CASE WHEN reason LIKE 'given up: %' THEN substr(reason, 11) ELSE 'rejected' END, at, reason FROM dead_letters;
INSERT INTO batches (report, destination, first, events, outcome, at, reason)
SELECT outcomes.report, outcomes.destination, 0, rejected + dropped - COALESCE(SUM(dead_letters.events), 0) AS expired,
'expired', settled_at, 'given up: expired'
FROM outcomes LEFT JOIN dead_letters USING (report, destination) GROUP BY 1, 2 HAVING expired > 0;
DROP TABLE queue;
DROP TABLE outcomes;
DROP TABLE dead_letters;
"""

_MIGRATIONS: Final = {
    1: _ADDED_IN_2 + _CHANGED_IN_2,
    2: _ADDED_IN_3,
    3: _ADDED_IN_4 + _CHANGED_IN_4,
}
"""The statements that lead from each older version to the next."""


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether the file has the tables of this release; False for an empty file and one of an older release.

    Raises:
        StateDamaged: it is a database of something else.
        StateTooNew: a newer release wrote it.
        sqlite3.Error: it is not a database, or cannot be read.
    """
    application, version = _number(connection, "application_id"), _number(connection, "user_version")
    if application == APPLICATION_ID:
        if version > VERSION:
            raise StateTooNew(
                f"the state file is of format {version}, this release knows {VERSION}",
                "run the newer release, or name another bridge.state_dir",
            )
        return version == VERSION
    if _number(connection, "schema_version") or application or version:
        raise StateDamaged(
            "the state file is a database of another program",
            "is bridge.state_dir the right directory? The next report sets it aside",
        )
    return False


def prepare(connection: sqlite3.Connection) -> None:
    """Create the tables in an empty file, or bring those of an older release up to date.

    Raises:
        StateDamaged, StateTooNew, sqlite3.Error: as above.
    """
    if is_current(connection):
        return
    version = _number(connection, "user_version")
    if not version:
        # Takes effect only before the first table: what a long outage filled is given back to the disk afterwards.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    steps = "".join(_MIGRATIONS[older] for older in range(version, VERSION)) if version else _TABLES
    connection.executescript(
        f"BEGIN IMMEDIATE; {steps} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
    )


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    (number,) = connection.execute(f"PRAGMA {pragma}").fetchone()
    return int(number)
