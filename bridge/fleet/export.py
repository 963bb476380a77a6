"""The files of a folder as one table of events, whatever wrote them: `sql/sources` has a text for each kind."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Final

from bridge.fleet.questions import FleetError, part

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_JSON: Final = frozenset({".json", ".jsonl", ".ndjson"})
_NEEDED: Final = frozenset({"event_timestamp", "event_name", "event_params", "user_pseudo_id"})
_LOOK: Final = 65_536


def events_view(folder: Path) -> tuple[str, int]:
    """The text that makes the view `events_*` of all files in and below a folder.

    Returns:
        The text for DuckDB, and how many files could not be read.

    Raises:
        FleetError: there is no such folder, no file of a known kind in it, or a column is missing.
    """
    if not folder.is_dir():
        remedy = "--from takes a folder of exported files, or bigquery://PROJECT/DATASET"
        raise FleetError(f"{folder} is not a folder", remedy)
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


def not_an_export(folder: Path, reason: str) -> FleetError:
    """The files have other columns or values than an export has."""
    what = f"the files in {folder} are not an export of GA4 to BigQuery: {reason.splitlines()[0]}"
    return FleetError(what, f"an export has the columns event_date, geo, {', '.join(sorted(_NEEDED))}")


def _kind(file: Path) -> str:
    """The source's name, "broken" for JSON that cannot be read, empty for a file of another kind."""
    if file.suffix == ".parquet":
        return "parquet"
    if not _JSON & set(file.suffixes):
        return ""
    return "lines" if file.suffix == ".gz" else _kind_of_json(file)


def _kind_of_json(file: Path) -> str:
    with file.open("rb") as opened:
        head = opened.read(_LOOK)
    for line in head.splitlines():
        match _read(line):
            case {"event_name": _, **others}:
                if missing := _NEEDED - others.keys() - {"event_name"}:
                    raise not_an_export(file.parent, f"{file.name} lacks {', '.join(sorted(missing))}")
                return "lines"
            case {"received": _}:
                return "record"
    match _read(file.read_bytes()):
        case [{"name": _, "params": _}, *_]:
            return "json_log"
        case {"report": {"client_id": _}, "events": _}:
            return "history"
        case None:
            return "broken"
        case _:
            return ""


def _read(text: bytes) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _listed(files: Sequence[Path]) -> str:
    return "[" + ", ".join("'" + str(file).replace("'", "''") + "'" for file in files) + "]"
