"""The questions on one machine: the same SQL, translated for DuckDB, over files of many kinds."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import sqlglot

from bridge.fleet.questions import Answers, FleetError, part, select

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import date

    from bridge.fleet.questions import Question

_KINDS: Final = frozenset({".parquet", ".json", ".jsonl", ".ndjson"})
_NEEDED: Final = frozenset({"event_timestamp", "event_name", "event_params", "user_pseudo_id"})
_LOOK: Final = 65_536


def ask(
    source: str | Path, asked: Iterable[Question], k: int, first: date | None = None, last: date | None = None
) -> Answers:
    """Answer questions from an export in a folder.

    Args:
        source: a folder with files of an export, of reports (`system_metrics_report.json`, `history`), or records.
        asked: what is asked.
        k: groups of fewer installations are not shown.
        first: the first day, UTC; None for the first that the export has.
        last: the last day; None for the last that the export has.

    Raises:
        FleetError: the folder holds no export, or nothing of these days.
    """
    view, broken = _events(folder := Path(source))
    # What does not fit goes to disk, and no order of rows has to be kept.
    with duckdb.connect(config={"memory_limit": "600MB", "preserve_insertion_order": False}) as database:
        try:
            database.execute(part("functions.duckdb") + view)
            earliest, latest, lines = database.execute(part("days")).fetchone() or (None, None, 0)
            if earliest is None:
                raise FleetError(f"{folder} holds no event", "export at least one day of events")
            first, last = first or earliest, last or latest
            if first > last or first > latest or last < earliest:
                remedy = f"the export has events from {earliest} to {latest}; choose --first and --last in between"
                raise FleetError(f"there is no event from {first} to {last}", remedy)
            database.execute(_created("facts"), {"first": first, "last": last})
            database.execute(_created("latest"))
            answers = {}
            for one in asked:
                text = translated(select(one, {}))
                values = {name: value for name, value in (("k", k), ("last", last)) if f"${name}" in text}
                answers[one.name] = one.rows(database.execute(text, values).fetchall())
            return Answers(first, last, k, broken + lines, answers)
        except duckdb.Error as error:
            raise _unreadable(folder, str(error)) from error


def script(asked: Question) -> str:
    """Everything that is run for a question, as one text; its parameters are $first, $last and $k."""
    texts = (_created("facts"), _created("latest"), translated(select(asked, {})))
    return part("functions.duckdb") + "".join(f"{text};\n" for text in texts)


def _created(name: str) -> str:
    """A view that all questions stand on, as a table: it is worked out once for all that are asked."""
    return f"CREATE TEMP TABLE {name} AS\n{translated(part(name))}"


@cache
def translated(text: str) -> str:
    """A text in BigQuery's dialect in DuckDB's: tables and functions other than ours stay as they are."""
    return ";\n".join(sqlglot.transpile(text, read="bigquery", write="duckdb", pretty=True))


def _events(folder: Path) -> tuple[str, int]:
    """The text that makes the view `events_*` of all files in and below a folder, and how many could not be read."""
    if not folder.is_dir():
        raise FleetError(f"{folder} is not a folder", "name one of exported files, or bigquery://PROJECT/DATASET")
    kinds: dict[str, list[Path]] = defaultdict(list)
    for file in sorted(file for file in folder.rglob("*") if file.is_file()):
        kinds[_kind(file)].append(file)
    broken = len(kinds.pop("broken", ()))
    kinds.pop("", None)
    if not kinds:
        what = f"no file in {folder} is an export, a report or a record of events"
        raise FleetError(what, "it must hold the .parquet or .json files of an export, or reports of bridges")
    sources = (part(f"sources/{kind}").replace("FILES", _listed(files)) for kind, files in kinds.items())
    return part("events").replace("SOURCES", " UNION ALL ".join(sources)), broken


def _kind(file: Path) -> str:
    """The name of its text in `sql/sources`, "broken" where it cannot be read, empty for a file of another kind."""
    if not _KINDS & set(file.suffixes):
        return ""
    if file.suffix in (".parquet", ".gz"):
        return "parquet" if file.suffix == ".parquet" else "lines"
    try:
        with file.open("rb") as opened:
            head = opened.read(_LOOK).decode("utf-8", "replace")
        keys = set(re.findall(r'"(\w+)"\s*:', head))
        if "received" in keys:
            return "record"
        if "event_name" in keys:
            if missing := _NEEDED - keys:
                raise _unreadable(file.parent, f"{file.name} lacks {', '.join(sorted(missing))}")
            return "lines"
        if not keys >= {"name", "params"}:
            return ""
        return "json_log" if isinstance(json.loads(file.read_bytes()), list) else "history"
    except (OSError, ValueError):
        return "broken"


def _unreadable(folder: Path, reason: str) -> FleetError:
    """The files have other columns or values than an export has, or are too large for this machine."""
    what = f"the files in {folder} cannot be read as an export of GA4 to BigQuery: {reason.splitlines()[0]}"
    return FleetError(what, f"an export has the columns event_date, geo, {', '.join(sorted(_NEEDED))}")


def _listed(files: Sequence[Path]) -> str:
    return "[" + ", ".join("'" + str(file).replace("'", "''") + "'" for file in files) + "]"
