"""Points in time as people read them: UTC to the second, and how far away."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_SECOND: Final = 1_000_000
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def moment(microseconds: int | None) -> str | None:
    """A time of day in UTC, `2026-01-31 12:00:00Z`; None stays None.

    Args:
        microseconds: since 1970.
    """
    if microseconds is None:
        return None
    try:
        return f"{datetime.fromtimestamp(microseconds // _SECOND, UTC):%Y-%m-%d %H:%M:%S}Z"
    except (ValueError, OverflowError, OSError):  # a clock that was far off
        return f"{microseconds // _SECOND} s"


def distance(microseconds: int, now: int) -> str:
    """How far a time is from now, in its largest unit: `3 h ago`, `in 5 min`, `now`."""
    seconds = (microseconds - now) // _SECOND if microseconds > now else (now - microseconds) // _SECOND
    for size, unit in _UNITS:
        if seconds >= size:
            text = f"{seconds // size} {unit}"
            return f"in {text}" if microseconds > now else f"{text} ago"
    return "now"
