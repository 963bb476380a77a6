"""The custom definitions that a property needs, drawn from the registry of events, against those that it has.

GA4's reports show an event parameter only after a definition of its name was made, and only of events that come after
it. Limits: analyticsadmin v1beta, CustomDimension and CustomMetric; a standard property has 50 of each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from bridge.report.events import COLUMNS, EVENTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Kind = Literal["dimension", "metric"]
KINDS: Final[tuple[Kind, ...]] = ("dimension", "metric")

SLOTS: Final = 50
"""Event-scoped dimensions of a standard property; metrics too."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A custom dimension (of texts) or metric (of numbers) of events."""

    kind: Kind
    parameter: str
    display_name: str
    description: str = ""
    unit: str | None = None
    """Of a metric."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A definition that is needed, and how the property stands to it."""

    wanted: Definition
    present: bool
    differences: tuple[str, ...] = ()
    """What the property's own has otherwise; it is left as it is."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that is needed, in the order of the registry, and the room that is left for more."""

    checked: tuple[Checked, ...]
    left: Mapping[Kind, int]
    """Slots without a definition, before anything is created."""

    @property
    def missing(self) -> tuple[Definition, ...]:
        """What has to be created."""
        return tuple(one.wanted for one in self.checked if not one.present)

    @property
    def lacking(self) -> Mapping[Kind, int]:
        """By how many slots there are too few; empty where all fits."""
        needed = {kind: sum(one.kind == kind for one in self.missing) - self.left[kind] for kind in KINDS}
        return {kind: number for kind, number in needed.items() if number > 0}


def needed() -> tuple[Definition, ...]:
    """One definition for each column: texts are dimensions, numbers are metrics."""
    kinds = {name: param.kind for params in EVENTS.values() for name, param in params.items() if not param.shown_by}
    return tuple(
        Definition("dimension", name, column.title, column.description)
        if kinds[name] == "text"
        else Definition("metric", name, column.title, column.description, column.unit)
        for name, column in COLUMNS.items()
    )


def compare(present: Sequence[Definition]) -> Comparison:
    """Hold what a property has against what is needed.

    Args:
        present: its event-scoped definitions.
    """
    found = {(one.kind, one.parameter): one for one in present}
    checked = tuple(_checked(one, found.get((one.kind, one.parameter))) for one in needed())
    return Comparison(checked, {kind: SLOTS - sum(one.kind == kind for one in present) for kind in KINDS})


def _checked(wanted: Definition, found: Definition | None) -> Checked:
    if found is None:
        return Checked(wanted, present=False)
    pairs = {
        "display name": (wanted.display_name, found.display_name),
        "description": (wanted.description, found.description),
        "unit": (wanted.unit, found.unit),
    }
    differences = (f"{what} is {theirs!r}" for what, (ours, theirs) in pairs.items() if ours != theirs)
    return Checked(wanted, present=True, differences=tuple(differences))
