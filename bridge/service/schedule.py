"""When reports are due: a rhythm that nothing shifts.

Pure: moments are seconds of a clock that does not jump, and come in as arguments.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from zlib import crc32

if TYPE_CHECKING:
    from bridge.config.model import ServiceSection


def jitter(client_id: str, longest: float) -> float:
    """A part of `longest` (seconds) that is always the same for one installation and evenly spread over many."""
    return crc32(client_id.encode()) / 2**32 * longest


@dataclass(frozen=True, slots=True)
class Schedule:
    """Reports are due at `first`, and every `period` after it for ever."""

    first: float
    period: float

    @classmethod
    def of(cls, service: ServiceSection, start: float) -> Self:
        """The schedule of a service that starts at `start`; the settings are in milliseconds."""
        return cls(start + service.initial_report / 1000, service.periodic_report / 1000)

    def after(self, moment: float) -> float:
        """The first moment later than `moment` at which a report is due; what was missed until then is skipped."""
        if moment < self.first:
            return self.first
        ticks = math.floor((moment - self.first) / self.period) + 1
        due = self.first + ticks * self.period
        # the division may have been rounded down, which must not make a report due twice
        return due if due > moment else self.first + (ticks + 1) * self.period

    def missed(self, due: float, moment: float) -> int:
        """How many reports were due after `due` and up to `moment`."""
        return max(0, round((self.after(moment) - due) / self.period) - 1)

    def changed(self, service: ServiceSection, start: float, now: float) -> Schedule:
        """The schedule under new settings: before the first report anew from `start`, else on from the last one due."""
        new = self.of(service, start)
        if now < self.first:
            return new
        last = self.after(now) - self.period
        return Schedule(last, new.period)
