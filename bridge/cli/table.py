"""Tables for people: aligned columns, no wider than they need or the terminal is, text only."""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest
from textwrap import wrap
from typing import TYPE_CHECKING, Final

from bridge.cli.output import width

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.report.model import Event


_NARROWEST: Final = 12
"""Columns that a column of text keeps, whatever the terminal's width is."""


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns under headers; numbers to the right, everything else to the left; cells are wrapped to fit a terminal.

    Args:
        headers: one per column.
        rows: cells per row, as many as there are headers; None shows as "-".
    """
    cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = _fitting([max(map(len, column)) for column in zip(headers, *cells, strict=True)], width())
    wrapped = [line for row in cells for line in zip_longest(*map(_wrapped, row, widths), fillvalue="")]
    lines = [headers, ["-" * each for each in widths], *wrapped]
    return "\n".join("  ".join(map(_aligned, line, widths)).rstrip() for line in lines) + "\n"


def _fitting(widths: list[int], most: int | None) -> list[int]:
    """The widths, the largest made smaller until all fit."""
    while most and sum(widths) + 2 * (len(widths) - 1) > most and (widest := max(widths)) > _NARROWEST:
        widths[widths.index(widest)] -= 1
    return widths


def _wrapped(cell: str, columns: int) -> list[str]:
    return [cell] if len(cell) <= columns else wrap(cell, columns, break_on_hyphens=False)


def events_table(events: Sequence[Event]) -> str:
    """The events as people read them: equal ones are one row, with how often they occur."""
    times = Counter((event.name, _params(event)) for event in events)
    return table(("event", "times", "params"), [(name, count, params) for (name, params), count in times.items()])


def _params(event: Event) -> str:
    return " ".join(f"{name}={value}" for name, value in event.params.items())


def _aligned(cell: str, columns: int) -> str:
    return cell.rjust(columns) if cell.lstrip("-").isdigit() else cell.ljust(columns)
