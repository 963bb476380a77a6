"""Two clocks: the time of day, which may jump by days, and the time since the machine started, which may not.

Ages that lose data when they are wrong (expiry, leases) are taken by the second one wherever it can tell.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

MICROSECONDS: Final = 1_000_000


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
