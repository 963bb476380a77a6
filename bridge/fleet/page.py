"""Answers as one self-contained page: a chart and a table for each, in the style of the other pages."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from bridge import charts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.fleet.questions import Answer, Fleet

_FEW: Final = 5
"""Sections that have a chart of their own each; of more there is one with a bar for each, or a table only."""
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(answers: Sequence[Answer], fleet: Fleet, k: int) -> str:
    """The page as HTML text; it loads nothing.

    Args:
        answers: what to show, in this order.
        fleet: what was asked.
        k: groups of fewer installations are not in it.
    """
    style, script = (files("bridge").joinpath(f"web_page.{kind}").read_text("utf-8") for kind in ("css", "js"))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>MongooseIM installations</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f"<style>{style}.card {{ margin: 12px 0; padding: 14px 16px; }}\n"
        "h2 { font-size: 16px; margin: 0 0 8px; } h3 { font-size: 13px; margin: 12px 0 4px; }"
        "</style></head>\n<body><main>"
        f"<header><h1>MongooseIM installations</h1><span>{fleet.first} to {fleet.last} (UTC)</span></header>"
        f"<p>Groups of fewer than {k} installations are not shown. What is not reported cannot be counted.</p>\n"
        f"{''.join(map(_card, answers))}</main><script>{script}</script></body></html>\n"
    )


def _card(answer: Answer) -> str:
    question = answer.question
    sections: dict[str, dict[str, int]] = defaultdict(dict)
    for section, item, *numbers in answer.rows:
        # What a question sums up is what it is about; the number of installations is in the table.
        sections[str(section)][str(item)] = int(numbers[2 if question.amount else 0] or 0)
    if question.section == "day":
        chart = _over_time(sections)
    elif len(sections) <= _FEW:
        chart = "".join(f"<h3>{escape(name)}</h3>{_bars(name, items)}" for name, items in sections.items())
    elif max(map(len, sections.values())) <= charts.COLOURS:
        chart = charts.bars(question.answers, sections, question.section)
    else:
        chart = ""
    table = charts.table("As a table", question.header, [[str(cell) for cell in row] for row in answer.rows])
    shown = f"{chart}{table}" if sections else "<p>No group is large enough to be shown.</p>"
    return f'<section class="card"><h2>{escape(question.answers)}</h2>{shown}</section>\n'


def _over_time(sections: Mapping[str, Mapping[str, int]]) -> str:
    days = sorted(sections)
    items = dict.fromkeys(item for section in sections.values() for item in section)
    return charts.trends(days, {item: {"": [sections[day].get(item) for day in days]} for item in items})


def _bars(title: str, items: Mapping[str, int]) -> str:
    return charts.bars(title, {item: {"": number} for item, number in items.items()}, "")
