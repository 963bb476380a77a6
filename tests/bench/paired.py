"""Timing two or more things in turn, so that a machine that gets slower gets slower for all of them."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.cli.table import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True)
class Measured:
    """Seconds of each run, in the order of the rounds."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    def ratio_to(self, other: Measured) -> float:
        """The median of the ratios round by round."""
        return statistics.median(mine / theirs for mine, theirs in zip(self.seconds, other.seconds, strict=True))


def clocked(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def take_turns(works: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Measured]:
    """Run each work once per round, after one round that is not counted.

    Args:
        works: each gives the seconds that it measured of itself (see `clocked`).
        rounds: how often.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    for counted in range(rounds + 1):
        for name, work in works.items():
            seconds = work()
            if counted:
                taken[name].append(seconds)
    return {name: Measured(tuple(seconds)) for name, seconds in taken.items()}


def show(title: str, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table under a title."""
    print(f"\n{title}\n{table(headers, rows)}", end="", flush=True)


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
