"""Signals of the service: SIGUSR1 reports now, SIGHUP reads the configuration again, SIGTERM and SIGINT stop."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

_EARLY: Final = (signal.SIGUSR1, signal.SIGHUP)


def hold_early_signals() -> None:
    """Let no signal that is not meant to end the service end it while it starts; such an early one has no effect."""
    for number in _EARLY:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def handled(
    loop: asyncio.AbstractEventLoop,
    *,
    report: Callable[[], None],
    reload: Callable[[], None],
    stop: Callable[[], None],
) -> Iterator[None]:
    """Have signals call functions in the event loop, for as long as the block runs."""
    calls = {signal.SIGUSR1: report, signal.SIGHUP: reload, signal.SIGTERM: stop, signal.SIGINT: stop}
    for number, call in calls.items():
        loop.add_signal_handler(number, call)
    try:
        yield
    finally:
        for number in calls:
            loop.remove_signal_handler(number)
        hold_early_signals()
