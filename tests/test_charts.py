"""The charts as markup; in a browser they are tested with the page."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from bridge import charts

EVIL = '"><script>alert(1)</script>&'


class Reader(HTMLParser):
    """The tags of a markup, and its text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def labels(self) -> list[str | None]:
        return [attrs["aria-label"] for _, attrs in self.tags if "mark" in (attrs.get("class") or "").split()]


def test_whatever_is_named_is_text() -> None:
    drawn = [
        charts.trends([EVIL], {EVIL: {EVIL: [1], "b": [2]}}),
        charts.strip(EVIL, [charts.Mark(EVIL, EVIL, charts.cell("refused"))]),
        charts.bars(EVIL, {EVIL: {EVIL: 1}}, EVIL),
        charts.table(EVIL, [EVIL], [[EVIL]]),
        charts.legend(["waiting"]),
    ]
    for markup in drawn:
        assert "<script" not in markup
        assert not re.search(r"\s(on\w+|style|href|src)=", markup), "nothing that a policy would have to refuse"
        assert "script" not in [tag for tag, _ in Reader(markup).tags]
    assert f"{EVIL}: 1 {EVIL}, 2 b" in Reader(drawn[0]).labels()
    assert EVIL in Reader(drawn[3]).text


def test_a_missing_value_is_a_gap_and_a_lonely_one_a_dot() -> None:
    markup = charts.trends(["a", "b", "c", "d"], {"Messages": {"": [2, None, 4, 4]}})
    lines = re.findall(r'class="line first" d="([^"]*)"', markup)
    assert lines == ["M5,30h0", "M25,4L35,4h0"]
    assert Reader(markup).labels() == ["a: 2", "b: not reported", "c: 4", "d: 4"]


def test_only_the_newest_mark_is_in_the_order_of_the_tab_key() -> None:
    markup = charts.trends(["a", "b"], {"Nodes": {"": [1, 2]}})
    order = [attrs["tabindex"] for tag, attrs in Reader(markup).tags if "tabindex" in attrs]
    assert order == ["-1", "0"]


def test_nothing_to_draw_is_no_failure() -> None:
    assert Reader(charts.trends([], {"Nodes": {"": []}})).labels() == []
    assert Reader(charts.strip("x", [])).labels() == []
    assert Reader(charts.bars("x", {}, "module")).text == ["x"]
    assert Reader(charts.trends(["a"], {"Nodes": {"": [0]}})).labels() == ["a: 0"]
