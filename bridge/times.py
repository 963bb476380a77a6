"""Two clocks, and points in time as text.

The time of day may jump by days, the time since the machine started may not. Ages that lose data when they are wrong
are taken by the second one wherever it can tell.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MICROSECONDS: Final = 1_000_000
_UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


class Time(int):
    """A time of day, microseconds since 1970 (UTC), as a field of what is shown; in JSON it is RFC 3339."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Clock:
    """Both clocks in microseconds, and which start of the machine the second one counts from."""

    wall: Callable[[], int]
    """Time of day, since 1970 (UTC)."""
    elapsed: Callable[[], int]
    """Time since the machine started, sleep included; the same in all of its processes."""
    boot: str
    """Names this start of the machine; empty where the system does not tell."""


def system_clock() -> Clock:
    """The machine's own clocks."""
    # CLOCK_BOOTTIME counts on while the machine sleeps; elsewhere monotonic is the nearest there is.
    source: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        boot = ""
    return Clock(lambda: time.time_ns() // 1000, lambda: time.clock_gettime_ns(source) // 1000, boot)


def moment(microseconds: int) -> str:
    """A time of day in UTC as RFC 3339 has it, `2026-01-31T12:00:00Z`.

    Args:
        microseconds: since 1970; what no calendar reaches is shown as seconds.
    """
    seconds = microseconds // MICROSECONDS
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}Z"
    except (ValueError, OverflowError, OSError):  # a clock that was far off
        return f"{seconds} s"


def rfc3339(microseconds: int) -> str:
    """A time of day in UTC to the microsecond, `2026-01-31T12:00:00.000000Z`, for programs; within the calendar."""
    latest = 253_402_300_799 * MICROSECONDS
    seconds, rest = divmod(min(max(microseconds, 0), latest), MICROSECONDS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06}Z"


def parse_moment(text: str, now: int) -> int:
    """A time of day, µs since 1970, as people write it: a date, an RFC 3339 time (UTC without a zone), "3d" for ago.

    Raises:
        ValueError: it is none of these.
    """
    if ago := re.fullmatch(r"(\d{1,6})(s|min|h|d)", text):
        units = {unit: seconds for seconds, unit in _UNITS}
        return now - int(ago[1]) * units[ago[2]] * MICROSECONDS
    read = datetime.fromisoformat(text)
    return int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * MICROSECONDS)


def distance(microseconds: int, now: int) -> str:
    """How far a time is from now, in its largest unit: `3 h ago`, `in 5 min`, `now`."""
    seconds = abs(microseconds - now) // MICROSECONDS
    for size, unit in _UNITS:
        if seconds >= size:
            text = f"{seconds // size} {unit}"
            return f"in {text}" if microseconds > now else f"{text} ago"
    return "now"
