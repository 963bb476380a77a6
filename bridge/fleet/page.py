"""Answers as one self-contained page: a chart and a table for each, in the style of the other pages."""

from __future__ import annotations

from collections import defaultdict
from html import escape
from typing import TYPE_CHECKING, Final

from bridge import charts
from bridge.fleet.questions import questions
from bridge.web_page import assembled

if TYPE_CHECKING:
    from bridge.fleet.questions import Answers, Question, Rows

_FEW: Final = 5
"""Sections that have a chart of their own each; of more there is one with a bar for each, or a table only."""


def page(answers: Answers) -> str:
    """The page as HTML text; it loads nothing."""
    cards = "".join(_card(questions()[name], rows) for name, rows in answers.answers.items())
    days = f"{answers.first} to {answers.last}"
    return assembled("bridge.fleet", DAYS=days, SMALLEST=str(answers.k), ANSWERS=cards)


def _card(question: Question, rows: Rows) -> str:
    sections: dict[str, dict[str, int]] = defaultdict(dict)
    for section, item, installations, _, *amount in (row.values() for row in rows):
        # What a question sums up is what it is about; the number of installations is in the table.
        sections[str(section)][str(item)] = int([installations, *amount][-1] or 0)
    if question.header[0] == "day":
        days, items = sorted(sections), dict.fromkeys(item for section in sections.values() for item in section)
        chart = charts.trends(days, {item: {"": [sections[day].get(item) for day in days]} for item in items})
    elif len(sections) <= _FEW:
        chart = "".join(
            f"<h3>{escape(name)}</h3>{charts.bars(name, {item: {'': number} for item, number in items.items()}, '')}"
            for name, items in sections.items()
        )
    elif max(map(len, sections.values())) <= charts.COLOURS:
        chart = charts.bars(question.answers, sections, question.header[0])
    else:
        chart = ""
    table = charts.table("As a table", question.header, [[str(cell) for cell in row.values()] for row in rows])
    shown = f"{chart}{table}" if sections else "<p>No group is large enough to be shown.</p>"
    return f'<section class="card"><h2>{escape(question.answers)}</h2>{shown}</section>\n'
