"""Exports as GA4 writes them to BigQuery, made by hand."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb

from bridge.fleet import local
from bridge.fleet.questions import questions

COLUMNS = """{event_date: 'VARCHAR', event_timestamp: 'BIGINT', event_name: 'VARCHAR', user_pseudo_id: 'VARCHAR',
    event_params: 'STRUCT("key" VARCHAR, "value" STRUCT(string_value VARCHAR, int_value BIGINT, float_value DOUBLE,
        double_value DOUBLE))[]',
    geo: 'STRUCT(country VARCHAR, city VARCHAR)'}"""

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from pathlib import Path


def answers(
    folder: Path, *names: str, k: int = 1, first: date | None = None, last: date | None = None
) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of the named questions, or of all of them."""
    found = local.ask(folder, [questions()[name] for name in names or questions()], k, first, last)
    return {name: [tuple(row.values()) for row in rows] for name, rows in found.answers.items()}


@dataclass(frozen=True)
class Exported:
    """One event of an export."""

    installation: str
    at: datetime
    name: str
    params: Mapping[str, str | int]
    country: str = ""
    days_late: int = 0

    @property
    def table(self) -> str:
        return (self.at + timedelta(days=self.days_late)).strftime("events_%Y%m%d")

    def row(self) -> dict[str, Any]:
        params = [
            {"key": key, "value": {"string_value": value} if isinstance(value, str) else {"int_value": str(value)}}
            for key, value in self.params.items()
        ]
        return {
            "event_date": self.at.strftime("%Y%m%d"),
            "event_timestamp": str(round(self.at.timestamp() * 1_000_000)),
            "event_name": self.name,
            "event_params": params,
            "user_pseudo_id": self.installation,
            "geo": {"country": self.country, "city": ""},
        }


def report(
    installation: str, at: datetime, *events: tuple[str, Mapping[str, str | int]], country: str = ""
) -> list[Exported]:
    """The events of one report: all at the same time."""
    return [Exported(installation, at, name, params, country) for name, params in events]


def on(day: date, hour: int = 12) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def late(event: Exported, days: int) -> Exported:
    """The same event, in the table of some days later."""
    return replace(event, days_late=days)


def write_lines(folder: Path, events: Iterable[Exported]) -> Path:
    """The events as JSON lines, a file for each table, numbers as texts as BigQuery has them."""
    folder.mkdir(exist_ok=True)
    tables = defaultdict(list)
    for event in events:
        tables[event.table].append(json.dumps(event.row()))
    for table, lines in tables.items():
        (folder / f"{table}.json").write_text("".join(f"{line}\n" for line in lines))
    return folder


def write_parquet(folder: Path, events: Iterable[Exported]) -> Path:
    """The same as Parquet files."""
    folder.mkdir(exist_ok=True)
    lines = write_lines(folder / "lines", events)
    for file in sorted(lines.iterdir()):
        read = f"read_json('{file}', format='newline_delimited', columns={COLUMNS})"
        duckdb.sql(f"COPY (FROM {read}) TO '{folder / file.stem}.parquet' (FORMAT parquet)")
        file.unlink()
    lines.rmdir()
    return folder
