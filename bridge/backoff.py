"""How long to wait before each further attempt: the one back-off of the whole program."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def backoff(first: float, longest: float, uniform: Callable[[float, float], float] | None = None) -> Iterator[float]:
    """Seconds between attempts: `first`, then twice as long each time, up to `longest`.

    Args:
        first: before the second attempt.
        longest: never more than this.
        uniform: `random.uniform` for full jitter, which spreads out many bridges that failed at the same moment.
    """
    wait = min(first, longest)
    while True:
        yield uniform(0.0, wait) if uniform else wait
        wait = min(2 * wait, longest)
