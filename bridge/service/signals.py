"""Signals of the service: SIGUSR1 reports now, SIGHUP reads the configuration again, SIGTERM and SIGINT stop."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

_STOPS: Final = (signal.SIGTERM, signal.SIGINT)
_OTHERS: Final = (signal.SIGUSR1, signal.SIGHUP)


def handle_early_signals() -> None:
    """Before the event loop runs: those that stop do so at once, the others must not end us and have no effect yet."""
    for number in _STOPS:
        signal.signal(number, lambda *_: sys.exit(0))
    for number in _OTHERS:
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
            signal.signal(number, signal.SIG_IGN)  # we are ending already
