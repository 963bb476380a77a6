"""The questions: one file of SQL each in BigQuery's dialect, all on the same two views and behind the same wall.

`sql/facts.sql` is the only text that knows how the export nests; `sql/latest.sql` has of it what each installation said
last. A question (`sql/questions/*.sql`) only says which installation is in which item of which section. Counting is
left to `sql/shown.sql`, which hides groups of fewer than k installations: a question cannot forget it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final, Protocol

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

EVERY_EVENT: Final = "events_*"
"""The tables of the export, as BigQuery names them all at once."""

# Ranges stand in the order of their numbers, everything else by how often it occurs.
_ORDER: Final = "ORDER BY section, SAFE_CAST(SPLIT(item, ' ')[SAFE_OFFSET(0)] AS INT64), installations DESC, item"
_SQL: Final = files("bridge.fleet").joinpath("sql")


class FleetError(BridgeError):
    """A source that holds no export, a library that is not installed, or BigQuery does not answer."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question: its name, what it answers in a sentence, what its columns are called, and its text."""

    name: str
    answers: str
    section: str
    item: str
    amount: str
    """What is summed up besides installations; empty for most questions."""
    text: str

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the answer's columns."""
        return (self.section, self.item, "installations", "percent", *([self.amount] if self.amount else []))

    @property
    def members(self) -> str:
        """The text with all four columns that the wall reads."""
        return self.text if self.amount else f"SELECT *, 0 AS amount FROM (\n{self.text})"  # noqa: S608 - our own text


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question gave: rows of section, item, installations, percent and, where there is one, amount."""

    question: Question
    rows: Sequence[tuple[str | int | float | None, ...]]


class Fleet(Protocol):
    """The events of many installations over some days, wherever they are."""

    first: date
    last: date
    broken: int
    """How many lines or files could not be read."""

    def ask(self, question: Question, k: int) -> Answer:
        """Answer a question, with groups of fewer than k installations hidden."""

    def close(self) -> None:
        """Let go of everything that was opened."""


@cache
def questions() -> Mapping[str, Question]:
    """All questions by name."""
    found = sorted(_SQL.joinpath("questions").iterdir(), key=lambda file: file.name)
    return {question.name: question for question in (_question(file.name, file.read_text("utf-8")) for file in found)}


def part(name: str) -> str:
    """A text that all questions share: "facts", "latest", "shown", "functions.bigquery" or "functions.duckdb"."""
    return _SQL.joinpath(f"{name}.sql").read_text("utf-8")


def statement(asked: Question, tables: str = EVERY_EVENT) -> str:
    """The one statement that answers a question on BigQuery; its parameters are @first, @last and @k.

    Args:
        asked: the question.
        tables: where the events are, as `project.dataset.events_*`.
    """
    facts = part("facts").replace(EVERY_EVENT, tables)
    return part("functions.bigquery") + select(asked, {"facts": facts, "latest": part("latest")})


def select(asked: Question, views: Mapping[str, str]) -> str:
    """A question behind the wall, on views that are defined in the same statement."""
    texts = {**views, "members": asked.members, "shown": part("shown")}
    defined = ",\n".join(f"{name} AS (\n{text})" for name, text in texts.items())
    return f"WITH {defined}\nSELECT * FROM shown\n{_ORDER}"


def _question(file: str, text: str) -> Question:
    first, second, _ = text.split("\n", 2)
    columns = second.removeprefix("-- columns:").split(",")
    section, item, *amount = (column.strip() for column in columns)
    return Question(file.removesuffix(".sql"), first.removeprefix("-- "), section, item, "".join(amount), text)
