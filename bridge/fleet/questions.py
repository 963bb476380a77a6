"""The questions: one file of SQL each in BigQuery's dialect, all on the same two views and behind the same wall.

`sql/facts.sql` is the only text that knows how the export nests; `sql/latest.sql` has of it what each installation said
last. A question (`sql/questions/*.sql`) only says which installation is in which item of which section. Counting is
left to `sql/shown.sql`, which hides groups of fewer than k installations: a question cannot forget it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date  # noqa: TC003 - the same
from functools import cache
from importlib.resources import files
from typing import Any, Final

from bridge.document import Document
from bridge.errors import BridgeError

Rows = tuple[Mapping[str, str | int | float | None], ...]

_COLUMNS: Final = ("section", "item", "installations", "percent")
# Ranges stand in the order of their numbers, everything else by how often it occurs.
_ORDER: Final = "ORDER BY section, SAFE_CAST(SPLIT(item, ' ')[SAFE_OFFSET(0)] AS INT64), installations DESC, item"
_SQL: Final = files("bridge.fleet").joinpath("sql")


class FleetError(BridgeError):
    """A source that holds no export, a library that is not installed, or BigQuery does not answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question: its name, what it answers in a sentence, and its text."""

    name: str
    answers: str
    header: tuple[str, ...]
    """Of its answer: section, item, installations, percent, and what is summed up besides, if anything is."""
    text: str

    def rows(self, found: Iterable[Iterable[Any]]) -> Rows:
        """Rows of its answer, by column."""
        return tuple(dict(zip(self.header, row, strict=True)) for row in found)


class Answers(Document, frozen=True):
    """What questions gave: by question its rows, by column, without groups of fewer than k."""

    first: date
    last: date
    k: int
    unreadable: int
    """Lines or files that are left out."""
    answers: Mapping[str, Rows]


@cache
def questions() -> Mapping[str, Question]:
    """All questions by name."""
    found = {}
    for file in sorted(_SQL.joinpath("questions").iterdir(), key=lambda file: file.name):
        name, text = file.name.removesuffix(".sql"), file.read_text("utf-8")
        answers, columns, _ = text.split("\n", 2)
        section, item, *amount = columns.removeprefix("-- columns: ").split(", ")
        found[name] = Question(name, answers[3:], (section, item, "installations", "percent", *amount), text)
    return found


def part(name: str) -> str:
    """A text that all questions share, by the name of its file."""
    return _SQL.joinpath(f"{name}.sql").read_text("utf-8")


def statement(asked: Question, tables: str = "events_*") -> str:
    """The one statement that answers a question on BigQuery; its parameters are @first, @last and @k.

    Args:
        asked: the question.
        tables: where the events are, as `project.dataset.events_*`.
    """
    facts = part("facts").replace("events_*", tables)
    return part("functions.bigquery") + select(asked, {"facts": facts, "latest": part("latest")})


def select(asked: Question, views: Mapping[str, str]) -> str:
    """A question behind the wall, on views that are defined in the same statement."""
    has_amount = len(asked.header) > len(_COLUMNS)
    members = asked.text if has_amount else f"SELECT *, 0 AS amount FROM (\n{asked.text})"  # noqa: S608 - our own text
    texts = {**views, "members": members, "shown": part("shown")}
    defined = ",\n".join(f"{name} AS (\n{text})" for name, text in texts.items())
    columns = ", ".join((*_COLUMNS, "amount")[: len(asked.header)])
    return f"WITH {defined}\nSELECT {columns} FROM shown\n{_ORDER}"
