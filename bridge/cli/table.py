"""Tables for people: aligned columns, no wider than they need, text only."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.report.model import Event


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns under headers; numbers to the right, everything else to the left.

    Args:
        headers: one per column.
        rows: cells per row, as many as there are headers; None shows as "-".
    """
    cells = [["-" if cell is None else str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    lines = [list(headers), ["-" * width for width in widths], *cells]
    return "\n".join("  ".join(map(_aligned, line, widths)).rstrip() for line in lines) + "\n"


def events_table(events: Sequence[Event]) -> str:
    """The events as people read them: equal ones are one row, with how often they occur."""
    times = Counter((event.name, _params(event)) for event in events)
    return table(("event", "times", "params"), [(name, count, params) for (name, params), count in times.items()])


def _params(event: Event) -> str:
    return " ".join(f"{name}={value}" for name, value in event.params.items())


def _aligned(cell: str, width: int) -> str:
    return cell.rjust(width) if cell.lstrip("-").isdigit() else cell.ljust(width)
