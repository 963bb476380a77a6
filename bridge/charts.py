"""Charts as HTML with inline SVG, from plain values, for every page: no script, no style of their own, nothing loaded.

They are readable without colours: series differ by their lines, cells by their shapes, bars have their numbers beside
them. Each value is a mark with its label, which a screen reader reads, and which web_page.js shows on hover and focus;
web_page.css has the style. Whoever shows a chart of marks puts the same values into a table behind it.
"""

from __future__ import annotations

from collections import Counter
from html import escape
from itertools import groupby
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

COLOURS: Final = 8
"""Colours of bars; where there are more parts, some share one."""
_STEP: Final = 10
"""From one mark to the next, in units of the drawing; it is stretched to the room that there is."""
_HEIGHTS: Final = {"trend": 60, "strip": 20}
_MARGIN: Final = 4
"""Above and below lines, so that they are not cut off."""
_STYLES: Final = ("first", "second")
"""Of lines."""
_GLYPHS: Final = {
    "processed": "M3,10l1.6,4l2.6,-8",
    "refused": "M3,6l4,8m0,-8l-4,8",
    "given up": "M3,10h4",
    "nothing": "M5,10h0",
}
"""What is drawn upon a cell, by its kind; `delivered` and `waiting` differ by being full and empty."""


class Mark(NamedTuple):
    """One value of a chart."""

    when: str
    """Which report it is of."""
    told: str
    """The value in words."""
    drawing: str


def trends(moments: Sequence[str], panels: Mapping[str, Mapping[str, Sequence[int | None]]]) -> str:
    """Numbers over time as lines from zero, a panel for each title; a mark is told in all of them at the same time.

    Args:
        moments: which report the values are of, oldest first.
        panels: one or two series each, by what their values are called ("" where the title says it) and as long as
            `moments`; None where there is no value. The first one is a full line, the second one a dashed one.
    """
    names = dict.fromkeys(name for panel in panels.values() if len(panel) > 1 for name in panel)
    line = '<svg viewBox="0 0 24 10" aria-hidden="true"><path class="line {}" d="M2,5h20"/></svg>'
    key = "".join(
        f"<span>{line.format(style)}{escape(name)}</span>" for style, name in zip(_STYLES, names, strict=False)
    )
    drawn = "".join(_trend(title, moments, series) for title, series in panels.items())
    when = f'<span class="when">{escape(moments[-1]) if moments else ""}</span>'
    return f'<div class="linked"><div class="legend">{when}{key}</div><div class="panels">{drawn}</div></div>'


def _trend(title: str, moments: Sequence[str], series: Mapping[str, Sequence[int | None]]) -> str:
    top = max((value for values in series.values() for value in values if value is not None), default=0)
    styled = tuple(zip(_STYLES, series.values(), strict=False))

    def height(value: int) -> str:
        return f"{_HEIGHTS['trend'] - _MARGIN - value * (_HEIGHTS['trend'] - 2 * _MARGIN) / (top or 1):.4g}"

    lines = ""
    for style, values in styled:
        for is_present, run in groupby(enumerate(values), key=lambda each: each[1] is not None):
            if is_present:  # a line of no length is a dot
                path = "L".join(f"{(index + 0.5) * _STEP:g},{height(value or 0)}" for index, value in run)
                lines += f'<path class="line {style}" d="M{path}h0"/>'
    marks = []
    for index, when in enumerate(moments):
        present = {name: value for name, values in series.items() if (value := values[index]) is not None}
        told = ", ".join(f"{value:,} {name}".rstrip() for name, value in present.items()) or "not reported"
        dots = "".join(
            f'<path class="dot {style}" d="M5,{height(value)}h0"/>'
            for style, values in styled
            if (value := values[index]) is not None
        )
        marks.append(Mark(when, told, f'<path class="guide" d="M5,0v60"/>{dots}'))
    axis = f'<span class="axis"><span>{top:,}</span><span>0</span></span>'
    return _chart("trend", title, marks, head=f"<b>{escape(title)}</b>", axis=axis, lines=lines)


def strip(title: str, cells: Iterable[Mark]) -> str:
    """One cell per report.

    Args:
        title: what the cells are of.
        cells: oldest first, each drawn by `cell`.
    """
    marks = tuple(cells)
    return _chart("strip", title, marks, head=f'<span class="when">{escape(marks[-1].when) if marks else ""}</span>')


def cell(kind: str) -> str:
    """The drawing of a cell: one of `legend`'s kinds, or "nothing" for an empty place."""
    glyph = f'<path class="glyph" d="{_GLYPHS[kind]}"/>' if kind in _GLYPHS else ""
    return f'<g class="cell {kind.replace(" ", "-")}"><rect x="1" y="1.5" width="8" height="17"/>{glyph}</g>'


def legend(kinds: Iterable[str]) -> str:
    """What the cells of a strip mean."""
    samples = (f'<svg viewBox="0 0 10 20" aria-hidden="true">{cell(kind)}</svg>{escape(kind)}' for kind in kinds)
    return f'<p class="legend">{"".join(f"<span>{sample}</span>" for sample in samples)}</p>'


def bars(title: str, rows: Mapping[str, Mapping[str, int]], unit: str) -> str:
    """A table with a bar in each row, made of named parts; before it, if there are several, how many rows have each.

    Args:
        title: the table's caption, for screen readers.
        rows: parts and their lengths, by the row's name.
        unit: what the rows are, as "module".
    """
    times = Counter(part for parts in rows.values() for part in parts)
    colours = {part: f"c{index % COLOURS}" for index, (part, _) in enumerate(times.most_common())}
    longest = max((sum(parts.values()) for parts in rows.values()), default=0) or 1
    keys = "".join(
        f'<span class="key {colours[part]}">{escape(part)}: {count} {escape(unit)}{"" if count == 1 else "s"}</span>'
        for part, count in times.most_common()
    )
    body = []
    for name, parts in rows.items():
        drawn, left = "", 0.0
        for part, length in parts.items():
            width = 100 * length / longest
            drawn += f'<rect class="{colours[part]}" x="{left:.4g}" width="{max(0.0, width - 0.8):.4g}" height="10"/>'
            left += width
        told = ", ".join(f"{part} {length:,}".lstrip() for part, length in parts.items())
        svg = f'<svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'
        body.append(f'<tr><th scope="row">{escape(name)}</th><td>{svg}</td><td>{escape(told)}</td></tr>')
    legend_of_parts = f'<p class="legend">{keys}</p>' if len(times) > 1 else ""
    return (
        f'{legend_of_parts}<table class="bars"><caption class="unseen">{escape(title)}</caption>'
        f"<tbody>{''.join(body)}</tbody></table>"
    )


def table(caption: str, headers: Sequence[str], rows: Iterable[Sequence[int | str | None]], note: str = "") -> str:
    """The table behind a chart, folded, with a note below it."""
    head = "".join(f'<th scope="col">{escape(header)}</th>' for header in headers)
    body = "".join(f"<tr>{''.join(map(_cell_of_table, row))}</tr>" for row in rows)
    return (
        f'<details><summary>{escape(caption)}</summary><div class="scroll" tabindex="0"><table class="figures">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div><p>{escape(note)}</p></details>"
    )


def _cell_of_table(value: int | str | None) -> str:
    return f"<td>{f'{value:,}' if isinstance(value, int) else escape(value or '–')}</td>"


def _chart(kind: str, title: str, marks: Sequence[Mark], *, head: str, axis: str = "", lines: str = "") -> str:
    """A chart of marks; the last one is told until another one is chosen."""
    width, height, last = max(1, len(marks)) * _STEP, _HEIGHTS[kind], len(marks) - 1
    drawn = "".join(
        f'<g class="mark{" chosen" if index == last else ""}" role="img" tabindex="{0 if index == last else -1}" '
        f'transform="translate({index * _STEP})" aria-label="{escape(f"{when}: {told}")}" data-when="{escape(when)}" '
        f'data-told="{escape(told)}"><rect class="target" width="{_STEP}" height="{height}"/>{drawing}</g>'
        for index, (when, told, drawing) in enumerate(marks)
    )
    return (
        f'<div class="chart {kind}">{head}<span class="told">{escape(marks[-1].told) if marks else ""}</span>'
        f'<div class="plot">{axis}<svg viewBox="0 0 {width} {height}" width="{1.6 * width:g}" role="group" '
        f'preserveAspectRatio="none" aria-label="{escape(title)}">{lines}<g>{drawn}</g></svg></div></div>'
    )
