"""A TCP proxy that does something bad at one byte of a stream, once."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

TO_NODE, TO_US = "to the node", "to us"


@dataclass
class Proxy:
    """Forwards to a port; after `limit` bytes in one direction `action` happens, and then the rest is forwarded.

    `action` gets both writers; one that closes them ends the connection. None forwards everything.
    """

    target: int
    direction: str = TO_US
    limit: int = 1 << 60
    action: Callable[[asyncio.StreamWriter, asyncio.StreamWriter], Awaitable[None]] | None = None
    piece: int = 65_536
    port: int = 0
    passed: dict[str, int] = field(default_factory=lambda: {TO_NODE: 0, TO_US: 0})
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        node_writer = None
        try:
            node_reader, node_writer = await asyncio.open_connection("127.0.0.1", self.target)
            both = (writer, node_writer)
            pipes = [
                asyncio.ensure_future(self._pipe(TO_NODE, reader, node_writer, both)),
                asyncio.ensure_future(self._pipe(TO_US, node_reader, writer, both)),
            ]
            try:
                await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pipe in pipes:
                    pipe.cancel()
                await asyncio.gather(*pipes, return_exceptions=True)
        except asyncio.CancelledError:
            pass
        finally:
            for each in (writer, node_writer):
                if each:
                    each.transport.abort()
            self._tasks.discard(task)

    async def _pipe(
        self,
        direction: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        both: tuple[asyncio.StreamWriter, asyncio.StreamWriter],
    ) -> None:
        left = self.limit if direction == self.direction else 1 << 60
        action = self.action
        with contextlib.suppress(OSError):
            while True:
                if left == 0 and action and direction == self.direction:
                    await writer.drain()
                    await action(*both)
                    left, action = 1 << 60, None
                data = await reader.read(min(left, self.piece))
                if not data:
                    return
                left -= len(data)
                self.passed[direction] += len(data)
                writer.write(data)
                await writer.drain()


async def cut(ours: asyncio.StreamWriter, nodes: asyncio.StreamWriter) -> None:
    """Close both sides, as a proxy or a firewall does it."""
    for writer in (ours, nodes):
        writer.close()


async def reset(ours: asyncio.StreamWriter, nodes: asyncio.StreamWriter) -> None:
    """Reset both sides (RST)."""
    for writer in (ours, nodes):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        writer.transport.abort()


async def stall(ours: asyncio.StreamWriter, nodes: asyncio.StreamWriter) -> None:
    """Forward nothing more in this direction."""
    await asyncio.Event().wait()


async def delay(ours: asyncio.StreamWriter, nodes: asyncio.StreamWriter) -> None:
    """Wait a little, so that what was forwarded arrives alone."""
    await asyncio.sleep(0.02)
