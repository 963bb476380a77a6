"""What the pages of the documentation list, for tests that hold the program against them."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def documented_events() -> dict[str, dict[str, str]]:
    """Event names, params and their meanings as docs/what-is-reported.md has them."""
    text = (DOCS / "what-is-reported.md").read_text()
    section = text.split("\n## Events\n")[1].split("\n## ")[0]
    found: dict[str, dict[str, str]] = {}
    for part in section.split("\n### ")[1:]:
        found[part.split("\n")[0]] = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", part, re.MULTILINE))
    return found


def documented_words(title: str) -> set[str]:
    text = (DOCS / "what-is-reported.md").read_text()
    paragraph = text.split(f"**{title}**")[1].split("\n\n")[0]
    return set(re.findall(r"`([\w]+)`", paragraph))
