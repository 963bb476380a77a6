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

    def __init__(
        self,
        name: NodeName,
        dial: Callable[[Peer, Observer | None], Dial],
        on_up: Callable[[str], None] | None,
        on_down: Callable[[str, str], None] | None,
    ) -> None:
        """Prepare.

        Args:
            name: the node's name.
            dial: gives a new attempt, and tells the observer of it.
            on_up: called with the name when it was connected to.
            on_down: called with the name and the reason when the connection was lost.
        """
        self.name = name
        self.connection: Connection | None = None
        self.yields = False
        """Whether to leave our name to another program that has it there: the peer closed our last connection itself,
        as it does when another one takes the name over."""
        self._new_dial = dial
        self._on_up = on_up
        self._on_down = on_down
        self._dial: Dial | None = None
        self._attempt: asyncio.Task[Connection] | None = None
        self._failure: ErlangError | None = None
        """Of the last attempt."""
        self._pauses: Iterator[float] | None = None
        self._not_before = 0.0

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
        self._pauses, self._not_before = None, 0.0

    async def connected(self, deadline: float, observe: Observer | None = None) -> Connection:
        """The connection, made if need be; `observe` is told of the attempt, unless it has begun before.

        Raises:
            ConnectError: it cannot be made, or not before the deadline.
        """
        if self.connection:
            return self.connection
        loop = asyncio.get_running_loop()
        if self._attempt is None:
            if self._failure and self._not_before > deadline:
                raise self._failure.with_traceback(None)
            self._attempt = loop.create_task(self._connect(observe))
            self._attempt.add_done_callback(self._attempted)
        attempt = self._attempt
        await asyncio.wait({attempt}, timeout=max(0.0, deadline - loop.time()))
        if not attempt.done():
            phase = self._dial.phase if self._dial else ""
            late = f"{phase or 'waiting to connect again'} took longer than the call may"
            raise PhaseTimeout(str(self.name), late, phase=phase)
        if attempt.cancelled():
            raise NodeDown(str(self.name), "the bridge closed the connection before it was made")
        return attempt.result()

    async def _connect(self, observe: Observer | None) -> Connection:
        loop = asyncio.get_running_loop()
        self._dial = None
        await asyncio.sleep(max(0.0, self._not_before - loop.time()))
        try:
            self._dial = self._new_dial(self, observe)
            connection = await self._dial.run()
            if connection.loss:
                raise NodeDown(str(self.name), connection.loss.detail)
        except ErlangError as error:
            self._failure = error
            self._pauses = self._pauses or backoff(FIRST_BACKOFF, LONGEST_BACKOFF)
            self._not_before = loop.time() + next(self._pauses)
            raise
        self.connection, self.yields, self._failure = connection, False, None
        self.retry_now()
        if self._on_up:
            self._on_up(str(self.name))
        return connection

    def _attempted(self, attempt: asyncio.Task[Connection]) -> None:
        self._attempt = None
        if not attempt.cancelled():
            attempt.exception()  # it has been seen, whether or not anybody waits

    def lose(self, connection: Connection, reason: str) -> None:
        """Go on without a connection, which is lost."""
        if self.connection is connection:
            self.connection, self.yields = None, connection.closed_by_peer
            if self._on_down:
                self._on_down(str(self.name), reason)

    async def close(self) -> None:
        """Give up an attempt and close the connection."""
        if attempt := self._attempt:
            attempt.cancel()
            await asyncio.wait({attempt})
        if self.connection:
            await self.connection.close()
