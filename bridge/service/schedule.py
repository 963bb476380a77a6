"""When reports are due: a rhythm that nothing shifts.

Pure: moments are seconds of a clock that does not jump, and come in as arguments.
"""

from __future__ import annotations

import math
from zlib import crc32


def jitter(client_id: str, longest: float) -> float:
    """A part of `longest` (seconds) that is always the same for one installation and evenly spread over many."""
    return crc32(client_id.encode()) / 2**32 * longest


def following(due: float, period: float, now: float) -> float:
    """The first moment after `due` and later than `now`, whole periods after `due`; those in between are skipped."""
    ticks = max(1, math.floor((now - due) / period) + 1)
    moment = due + ticks * period
    # the division may have been rounded down, which must not make a report due twice
    return moment if moment > now else due + (ticks + 1) * period
