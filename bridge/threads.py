"""Blocking calls beside the event loop, in threads that nobody waits for.

A name look-up or a dead disk may take minutes to return. asyncio's own executor is joined when the loop ends, which
would hold up the end of the program for as long.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from errno import EAGAIN
from threading import Thread
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

_T = TypeVar("_T")
_P = ParamSpec("_P")


def run(work: Coroutine[None, None, _T]) -> _T:
    """`asyncio.run`, but what still blocks in a thread at the end is left behind."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)


class DaemonExecutor(ThreadPoolExecutor):
    """Runs each call in a daemon thread of its own."""

    def submit(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run it at once."""
        future: Future[_T] = Future()
        future.set_running_or_notify_cancel()  # from here on nobody can cancel it, only forget it

        def call() -> None:
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - whoever waits for the future gets it
                future.set_exception(error)

        try:
            Thread(target=call, daemon=True).start()
        except RuntimeError:  # callers know what to do when the system refuses something
            future.set_exception(OSError(EAGAIN, "no more threads can be started"))
        return future


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        super().__init__()
        self.set_default_executor(DaemonExecutor())

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - asyncio's own
        """Nothing is waited for; asyncio would do so in one more thread."""
