-- A state file as release 0.1.0 wrote it (format 1).
PRAGMA application_id = 1296649538;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE dead_letters (
  id INTEGER PRIMARY KEY,
  report INTEGER NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
  destination INTEGER NOT NULL REFERENCES destinations (id),
  first INTEGER NOT NULL,
  events INTEGER NOT NULL,
  reason TEXT NOT NULL,
  at INTEGER NOT NULL
);
INSERT INTO "dead_letters" VALUES(1,1,1,25,10,'answered 400',1700000000000000);
CREATE TABLE destinations (
  id INTEGER PRIMARY KEY,
  key TEXT NOT NULL UNIQUE,        -- Destination.id; no secret
  name TEXT NOT NULL,
  delivered_at INTEGER,            -- last success
  error TEXT, error_at INTEGER,    -- last failure
  retry_at INTEGER,                -- next attempt, while it fails
  not_before INTEGER               -- by the destination's own Retry-After
);
INSERT INTO "destinations" VALUES(1,'G-AAAA http://a/mp/collect','G-AAAA at a',1700000000000000,'answered 503',1700000000000000,1700000001000000,NULL);
CREATE TABLE drops (
  destination INTEGER NOT NULL REFERENCES destinations (id),
  reason TEXT NOT NULL,
  batches INTEGER NOT NULL,
  events INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (destination, reason)
) WITHOUT ROWID;
INSERT INTO "drops" VALUES(1,'expired',1,7,1700000000000000);
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO "meta" VALUES('client_id','11.22');
INSERT INTO "meta" VALUES('next_report_at','1700000000000000');
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
INSERT INTO "outcomes" VALUES(1,1,47,25,10,7,1700000000000000,'answered 503');
CREATE TABLE owners (owner TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO "owners" VALUES('dead',5);
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
INSERT INTO "queue" VALUES(3,1,1,42,5,2,1,'dead',X'7B7D');
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
INSERT INTO "reports" VALUES(1,1700000000000000,'first',1000,1700000000000000,'11.22',47,'["mim@host"]','["a note"]',X'789C8B8E0500011500B9');
CREATE TABLE totals (
  node TEXT, creation INTEGER, stanza_type TEXT, total INTEGER,
  PRIMARY KEY (node, creation, stanza_type)
) WITHOUT ROWID;
INSERT INTO "totals" VALUES('mim@host',7,'xmppMessageSent',5);
CREATE INDEX reports_unpublished ON reports (id) WHERE published_at IS NULL;
CREATE INDEX reports_age ON reports (collected_at, boot, elapsed);
CREATE INDEX queue_order ON queue (destination, attempts, id);
CREATE INDEX queue_counts ON queue (report, destination, events, size);
CREATE INDEX queue_claims ON queue (claimed_by) WHERE claimed_by IS NOT NULL;
CREATE VIEW free AS SELECT * FROM queue WHERE claimed_by IS NULL OR claimed_by NOT IN (SELECT owner FROM owners);
CREATE INDEX dead_letters_of ON dead_letters (report, destination);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('reports',1);
INSERT INTO "sqlite_sequence" VALUES('queue',3);
COMMIT;
