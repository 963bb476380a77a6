"""The questions on one machine: the same SQL, translated for DuckDB, over the files of an export."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import duckdb
import sqlglot

from bridge.fleet.export import events_view, not_an_export
from bridge.fleet.questions import EVERY_EVENT, Answer, FleetError, part, select

if TYPE_CHECKING:
    from datetime import date
    from pathlib import Path

    from bridge.fleet.questions import Question

# What does not fit goes to disk, and no order of rows has to be kept.
_LIMITS: Final[dict[str, str | bool | int | float | list[str]]] = {
    "memory_limit": "600MB",
    "preserve_insertion_order": False,
}
_LOOK: Final = f"""
SELECT CAST(make_timestamp(min(event_timestamp)) AS DATE), CAST(make_timestamp(max(event_timestamp)) AS DATE),
  count(*) FILTER (event_name IS NULL)
FROM "{EVERY_EVENT}"
"""  # noqa: S608 - a constant


class LocalFleet:
    """An export in a folder, of which questions can be asked.

    Args:
        folder: the files; see `events_view`.
        first: the first day, UTC; None for the first that the export has.
        last: the last day; None for the last that the export has.

    Raises:
        FleetError: the folder holds no export, or nothing of these days.
    """

    def __init__(self, folder: Path, first: date | None = None, last: date | None = None) -> None:
        self._database = duckdb.connect(config=_LIMITS)
        try:
            view, broken = events_view(folder)
            self._database.execute(part("functions.duckdb"))
            self._database.execute(view)
            self.first, self.last, lines = self._looked(folder, first, last)
            self.broken = broken + lines
            days = {"first": self.first, "last": self.last}
            self._database.execute(_created("facts"), days)
            self._database.execute(_created("latest"))
        except duckdb.Error as error:
            self.close()
            raise not_an_export(folder, str(error)) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def ask(self, question: Question, k: int) -> Answer:
        """Answer a question.

        Args:
            question: what is asked.
            k: groups of fewer installations are not shown.
        """
        text = translated(select(question, {}))
        named = {"k": k, "last": self.last}
        wanted = {name: value for name, value in named.items() if f"${name}" in text}
        rows = self._database.execute(text, wanted).fetchall()
        return Answer(question, [row[: len(question.header)] for row in rows])

    def _looked(self, folder: Path, first: date | None, last: date | None) -> tuple[date, date, int]:
        """The days that are asked about, and how many lines could not be read."""
        earliest, latest, broken = self._database.execute(_LOOK).fetchone() or (None, None, 0)
        if earliest is None:
            raise FleetError(f"{folder} holds no event", "export at least one day of events")
        begin, end = first or earliest, last or latest
        if begin > end or begin > latest or end < earliest:
            remedy = f"the export has events from {earliest} to {latest}; choose --first and --last in between"
            raise FleetError(f"there is no event from {begin} to {end}", remedy)
        return begin, end, broken


def script(asked: Question) -> str:
    """Everything that is run for a question, as one text; its parameters are $first, $last and $k."""
    tables = f"{_created('facts')};\n{_created('latest')};\n"
    return f"{part('functions.duckdb')}{tables}{translated(select(asked, {}))};\n"


def _created(name: str) -> str:
    """A view that all questions stand on, as a table: it is worked out once for all that are asked."""
    return f"CREATE TEMP TABLE {name} AS\n{translated(part(name))}"


@cache
def translated(text: str) -> str:
    """A text in BigQuery's dialect in DuckDB's: tables and functions other than ours stay as they are."""
    return ";\n".join(sqlglot.transpile(text, read="bigquery", write="duckdb", pretty=True))
