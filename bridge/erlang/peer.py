"""What is kept of a peer between calls: its connection, the attempt to make one, and when to try again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bridge.erlang.dial import PHASE_TIMEOUT
from bridge.erlang.errors import ConnectError, ErlangError, NodeDown, PhaseTimeout, Simultaneous

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.erlang.connection import Connection
    from bridge.erlang.dial import Dial
    from bridge.erlang.names import NodeName

FIRST_BACKOFF: Final = 0.2
LONGEST_BACKOFF: Final = 10.0
"""Seconds between attempts to connect to a peer that could not be reached: from the first, doubled, to the longest."""


class Peer:
    """A node that we call, or that called us. All who want to call it share one connection and one attempt."""

    __slots__ = (
        "_arrived",
        "_attempt",
        "_backoff",
        "_dial",
        "_failure",
        "_make",
        "_not_before",
        "_yielded",
        "called",
        "connection",
        "name",
    )

    def __init__(self, name: NodeName, make: Callable[[NodeName], Dial]) -> None:
        """Prepare; `make` gives a new attempt."""
        self.name = name
        self.connection: Connection | None = None
        self.called = False
        """Whether we want it, and not only it us: then it is remembered after a loss."""
        self._make = make
        self._attempt: asyncio.Task[Connection] | None = None
        self._dial: Dial | None = None
        self._arrived = asyncio.Event()
        self._yielded = False
        self._backoff = 0.0
        self._not_before = 0.0
        self._failure: ErlangError | None = None

    @property
    def shaking(self) -> bool:
        """Whether an attempt of ours is in its handshake."""
        return self._dial is not None and self._dial.shaking

    @property
    def idle(self) -> bool:
        """Whether there is neither a connection nor an attempt to make one."""
        return self.connection is None and self._attempt is None

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
            phase = self._dial.phase if self._dial else "waiting to connect again"
            raise PhaseTimeout(str(self.name), f"{phase} took longer than the call may")
        if self.connection:
            return self.connection
        if attempt.cancelled():
            raise NodeDown(str(self.name), "the connection was closed as soon as it was made")
        return attempt.result()

    async def _connect(self) -> Connection:
        await asyncio.sleep(max(0.0, self._not_before - asyncio.get_running_loop().time()))
        self._arrived.clear()
        self._yielded = False
        dial = self._dial = self._make(self.name)
        try:
            connection = await dial.run()
        except ConnectError as error:
            if not self._yielded and not isinstance(error, Simultaneous):
                raise
            # the peer is connecting to us, and its attempt is the one that goes on
            try:
                async with asyncio.timeout(PHASE_TIMEOUT):
                    await self._arrived.wait()
            except TimeoutError:
                pass
            if self.connection:
                return self.connection
            raise
        finally:
            self._dial = None
        self.adopt(connection)
        return connection

    def _attempted(self, attempt: asyncio.Task[Connection]) -> None:
        self._attempt = None
        if attempt.cancelled():
            return
        failure = attempt.exception()
        if isinstance(failure, ConnectError):
            self._failure = failure
            self._backoff = min(LONGEST_BACKOFF, 2 * self._backoff or FIRST_BACKOFF)
            self._not_before = asyncio.get_running_loop().time() + self._backoff

    def yield_to_it(self) -> None:
        """Give up our attempt, which is in its handshake, for one of the peer's that has begun as well."""
        self._yielded = True
        if self._dial:
            self._dial.abandon()

    def adopt(self, connection: Connection) -> None:
        """Take a connection that is ready, made by either side, in place of an older one."""
        if connection.lost:
            return
        old, self.connection = self.connection, connection
        if self._attempt and self._dial and not self.shaking:
            self._attempt.cancel()  # the peer was faster
        if old and old is not connection:
            old.close()
        self._backoff = self._not_before = 0.0
        self._arrived.set()

    def lose(self, connection: Connection) -> None:
        """Forget a connection that is lost."""
        if self.connection is connection:
            self.connection = None

    async def close(self) -> None:
        """Give up an attempt and close the connection."""
        attempt = self._attempt
        if attempt:
            attempt.cancel()
            await asyncio.wait({attempt})
        if self.connection:
            self.connection.close()
