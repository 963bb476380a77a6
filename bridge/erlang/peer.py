"""What is kept of a peer between calls: its connection, the attempt to make one, and when to try again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.backoff import backoff
from bridge.erlang.errors import ErlangError, NameTaken, NodeDown, PhaseTimeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bridge.erlang.connection import Connection
    from bridge.erlang.dial import Dial, Observer
    from bridge.erlang.names import NodeName

FIRST_BACKOFF, LONGEST_BACKOFF = 0.2, 10.0
"""Seconds between attempts to connect to a peer that could not be reached."""


class Peer:
    """A node that we call. All who want to call it share one connection and one attempt."""

    __slots__ = (
        "_attempt",
        "_backoff",
        "_failure",
        "_make",
        "_not_before",
        "connection",
        "dial",
        "name",
        "observe",
        "yields",
    )

    def __init__(self, name: NodeName, make: Callable[[Peer], Dial]) -> None:
        """Prepare; `make` gives a new attempt."""
        self.name = name
        self.connection: Connection | None = None
        self.dial: Dial | None = None
        self.observe: Observer | None = None
        """Is told of the next attempt."""
        self.yields = False
        """Whether to leave our name to another program that has it there: the peer closed our last connection itself,
        as it does when another one takes the name over."""
        self._make = make
        self._attempt: asyncio.Task[Connection] | None = None
        self._backoff: Iterator[float] | None = None
        self._not_before = 0.0
        self._failure: ErlangError | None = None

    @property
    def idle(self) -> bool:
        """Whether there is neither a connection nor an attempt to make one."""
        return self.connection is None and self._attempt is None

    @property
    def taken(self) -> bool:
        """Whether the peer has said that another program has our name."""
        return isinstance(self._failure, NameTaken)

    def retry_now(self) -> None:
        """Let the next attempt begin without a pause."""
        self._backoff, self._not_before = None, 0.0

    async def connected(self, deadline: float) -> Connection:
        """The connection, made if need be.

        Raises:
            ConnectError: it cannot be made, or not before the deadline.
        """
        if self.connection:
            return self.connection
        loop = asyncio.get_running_loop()
        if self._attempt is None:
            if self._failure and self._not_before > deadline:
                raise self._failure.with_traceback(None)
            self._attempt = loop.create_task(self._connect())
            self._attempt.add_done_callback(self._attempted)
        attempt = self._attempt
        await asyncio.wait({attempt}, timeout=max(0.0, deadline - loop.time()))
        if not attempt.done():
            phase = self.dial.phase if self.dial else ""
            late = f"{phase or 'waiting to connect again'} took longer than the call may"
            raise PhaseTimeout(str(self.name), late, phase=phase)
        if self.connection:
            return self.connection
        if attempt.cancelled():
            raise NodeDown(str(self.name), "the connection was closed as soon as it was made")
        return attempt.result()

    async def _connect(self) -> Connection:
        await asyncio.sleep(max(0.0, self._not_before - asyncio.get_running_loop().time()))
        self.dial = self._make(self)
        try:
            connection = await self.dial.run()
        finally:
            self.dial = None
        if connection.lost:
            raise NodeDown(str(self.name), connection.why)
        self.connection = connection
        self.yields = False
        self._failure = None
        self.retry_now()
        return connection

    def _attempted(self, attempt: asyncio.Task[Connection]) -> None:
        self._attempt = None
        if attempt.cancelled():
            return
        failure = attempt.exception()
        if isinstance(failure, ErlangError):
            self._failure = failure
            self._backoff = self._backoff or backoff(FIRST_BACKOFF, LONGEST_BACKOFF)
            self._not_before = asyncio.get_running_loop().time() + next(self._backoff)

    def lose(self, connection: Connection) -> None:
        """Forget a connection that is lost."""
        if self.connection is connection:
            self.connection = None
            self.yields = connection.by_peer

    async def close(self) -> None:
        """Give up an attempt and close the connection."""
        attempt = self._attempt
        if attempt:
            attempt.cancel()
            await asyncio.wait({attempt})
        if self.connection:
            await self.connection.close()
