"""How long to wait before each further attempt: the one back-off of the whole program."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def pause(failures: int, first: float, longest: float) -> float:
    """Seconds before the attempt after so many failures in a row: `first`, then twice as long each time, to `longest`.

    Where many bridges may fail at the same moment, any time up to that spreads them out (full jitter).
    """
    return min(longest, first * 2.0 ** min(failures - 1, 64))


def backoff(first: float, longest: float) -> Iterator[float]:
    """The pauses after the first failure, the second, and so on."""
    return (pause(failures, first, longest) for failures in count(1))
