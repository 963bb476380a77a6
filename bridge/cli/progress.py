"""What is waited for, on stderr, when it takes longer than a second on a terminal; it is gone afterwards."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sys
from typing import TYPE_CHECKING, Final

from bridge.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from bridge.app import Installation
    from bridge.mongooseim.facts import ClusterFacts

AFTER: Final = 1.0
"""Seconds that nobody minds to wait without a word."""
EVERY: Final = 0.5
_ERASE: Final = "\r\x1b[K"


class Progress:
    """One line that says what is waited for, for as long as it is entered. Nothing where stderr is no terminal."""

    def __init__(self, waiting: Callable[[], str]) -> None:
        """Prepare.

        Args:
            waiting: what is waited for at the moment.
        """
        self._waiting = waiting
        self._shown = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._task = asyncio.get_running_loop().create_task(self._show())
            for handler in logging.getLogger().handlers:
                handler.addFilter(self._make_way)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task:
            self._task.cancel()
            for handler in logging.getLogger().handlers:
                handler.removeFilter(self._make_way)
        self.erase()

    def erase(self) -> None:
        """Make way for another line."""
        if self._shown:
            self._shown = False
            self._write("")

    async def _show(self) -> None:
        await asyncio.sleep(AFTER)
        while True:
            columns = shutil.get_terminal_size().columns
            self._shown = True
            self._write(f"waiting for {printable(self._waiting())}"[: columns - 1])
            await asyncio.sleep(EVERY)

    def _make_way(self, _: logging.LogRecord) -> bool:
        self.erase()
        return True

    @staticmethod
    def _write(text: str) -> None:
        sys.stderr.write(f"{_ERASE}{text}")
        sys.stderr.flush()


async def ask_cluster(installation: Installation) -> ClusterFacts:
    """Ask the cluster, and show which nodes are still silent.

    Raises:
        NoNodeAnswered: not one node could be asked.
    """
    silent: set[str] = set()
    async with Progress(lambda: ", ".join(sorted(silent)) or "the cluster"):
        return await installation.ask_cluster(silent)
