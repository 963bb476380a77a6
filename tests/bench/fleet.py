"""All questions to a synthetic export of 28 days: seconds, peak memory and bytes by its size.

FLEET_EVENTS=40000000 adds a size; making it takes some minutes and half a gigabyte of disk.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

import duckdb

from bridge.cli.table import table
from bridge.fleet import local
from bridge.fleet.questions import questions

SIZES = (1_000_000, 4_000_000)
FIRST, DAYS, REPORTS, EVENTS = date(2026, 11, 1), 28, 8, 90

# One report: host_count, domain_count, custom_module_count, three nodes, two stanza types, the rest modules of three
# host types. Values depend on the installation, and for some on the day.
_MAKE = """
COPY (
  WITH reports AS (
    SELECT i, r, epoch_us(DATE '{day}') + r * 10800000000 + i * 1000 AS micros
    FROM range({installations}) AS installations(i), range({reports}) AS reports(r)),
  numbered AS (SELECT i, r, micros, e FROM reports, range({events}) AS events(e))
  SELECT strftime(DATE '{day}', '%Y%m%d') AS event_date, micros AS event_timestamp,
    CASE WHEN e = 0 THEN 'host_count' WHEN e = 1 THEN 'domain_count' WHEN e = 2 THEN 'custom_module_count'
      WHEN e < 6 THEN 'cluster' WHEN e < 8 THEN 'xmpp_stanza_count' ELSE 'module_with_opt' END AS event_name,
    list_transform(
      CASE WHEN e < 3 THEN [{{k: 'value', s: NULL, n: (i * 7 + e) % 20}}]
        WHEN e < 6 THEN [{{k: 'version', s: '6.' || (i + {number} // 10) % 5 || '.0', n: NULL}},
          {{k: 'component', s: NULL, n: i % 3}}, {{k: 'node_number', s: NULL, n: 3}},
          {{k: 'uptime', s: '' || (e + r * 10800), n: NULL}}]
        WHEN e < 8 THEN [{{k: 'stanza_type', s: 'xmpp' || e, n: NULL}}, {{k: 'increment', s: NULL, n: i * r}}]
        ELSE [{{k: 'module', s: 'mod_' || (e - 8) % 27, n: NULL}},
          {{k: 'backend', s: ['rdbms', 'mnesia', 'cets', 'cassandra'][1 + (i * e) % 4], n: NULL}}] END
      || [{{k: 'engagement_time_msec', s: NULL, n: 100}}, {{k: 'ga_session_id', s: NULL, n: micros // 1000000}}],
      lambda p: {{'key': p.k, 'value': {{'string_value': p.s, 'int_value': p.n::BIGINT, 'float_value': NULL::DOUBLE,
        'double_value': NULL::DOUBLE}}}}) AS event_params,
    '12.' || hash(i) AS user_pseudo_id, {{'country': ['', 'Poland', 'Sweden'][1 + i % 3]}} AS geo
  FROM numbered
) TO '{file}' (FORMAT parquet)
"""


def make(folder: Path, events: int) -> None:
    """An export of about that many events, a table per day."""
    installations = max(1, round(events / (DAYS * REPORTS * EVENTS)))
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        values = {"day": day, "number": number, "installations": installations, "reports": REPORTS, "events": EVENTS}
        duckdb.execute(_MAKE.format(file=folder / f"events_{day:%Y%m%d}.parquet", **values))


def ask(folder: Path) -> None:
    """Ask everything and print seconds and peak kilobytes; a process of its own, for its peak."""
    begin = time.perf_counter()
    local.ask(folder, questions().values(), 5)
    print(time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def run() -> None:
    """Make each size, ask everything, print a table."""
    sizes = [*SIZES, *filter(None, [int(os.environ.get("FLEET_EVENTS", "0"))])]
    rows = []
    for events in sizes:
        with tempfile.TemporaryDirectory() as made:
            make(Path(made), events)
            read = sum(file.stat().st_size for file in Path(made).iterdir())
            command = [sys.executable, "-m", "tests.bench.fleet", made]
            seconds, peak = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        per_million = float(seconds) / events * 1e6
        rows.append((f"{events:,}", f"{float(seconds):.1f}", f"{per_million:.2f}", int(peak) // 1024, read // 2**20))
    print(table(("events", "seconds", "per million", "peak MB", "read MB"), rows))


if __name__ == "__main__":
    ask(Path(sys.argv[1]))
