"""Text from elsewhere, made safe for a terminal and a log."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with escapes in place of control characters; line breaks stay."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape", "surrogatepass").decode()
        for each in text
    )
