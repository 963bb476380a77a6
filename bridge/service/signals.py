"""Signals of the service: SIGUSR1 reports now, SIGHUP reads the configuration again, SIGTERM and SIGINT stop."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

_SIGNALS: Final = (signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM, signal.SIGINT)


def hold_signals() -> None:
    """Until the event loop handles them, keep signals waiting: none may cut into what is being started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)


@contextmanager
def handled(
    loop: asyncio.AbstractEventLoop,
    *,
    report: Callable[[], None],
    reload: Callable[[], None],
    stop: Callable[[], None],
) -> Iterator[None]:
    """Have signals call functions in the event loop, for as long as the block runs."""
    for number, call in zip(_SIGNALS, (report, reload, stop, stop), strict=True):
        loop.add_signal_handler(number, call)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)  # we are ending already
