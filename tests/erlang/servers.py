"""Servers that say what no real node or EPMD says, and the other side of a handshake as a node plays it."""

from __future__ import annotations

import asyncio
import contextlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bridge.erlang import flags
from bridge.erlang.handshake import digest
from bridge.secret import Secret

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

FLAGS = flags.MANDATORY_26 | flags.DIST_MONITOR | flags.SPAWN | flags.ALIAS | flags.MANDATORY_25_DIGEST


class Acceptor:
    """Takes the frames of a handshake that goes well, and gives a node's answers."""

    def __init__(self, name: str, cookie: str, creation: int = 3, status: bytes = b"ok") -> None:
        self._name = name
        self._cookie = Secret(cookie)
        self._creation = creation
        self._status = status

    def receive(self, frame: bytes) -> list[bytes]:
        if frame[:1] == b"r":
            return [b"a" + digest(self._cookie, int.from_bytes(frame[1:5], "big"))]
        raw = self._name.encode()
        fixed = FLAGS.to_bytes(8, "big") + (1).to_bytes(4, "big") + self._creation.to_bytes(4, "big")
        challenge = b"N" + fixed + len(raw).to_bytes(2, "big") + raw
        if frame == b"strue":
            return [challenge]
        status = b"s" + self._status
        return [status] if self._status == b"alive" else [status, challenge]


@asynccontextmanager
async def serving(answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]) -> AsyncIterator[int]:
    """A TCP server that does as it is told with each connection; gives its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await answer(reader, writer)
        writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say nothing."""
    while await reader.read(1000):
        pass


def once(said: bytes) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]:
    """Say something to the first that comes, and close."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1000)
        writer.write(said)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    return answer


async def shake(acceptor: Acceptor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A whole handshake."""
    frame = b""
    while frame[:1] != b"r":
        frame = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        for answer in acceptor.receive(frame):
            writer.write(len(answer).to_bytes(2, "big") + answer)


@asynccontextmanager
async def saying(name: str, cookie: str, sent: bytes) -> AsyncIterator[int]:
    """A node's port at which the handshake goes well; then it says these bytes, and reads on. Gives the port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await shake(Acceptor(name, cookie), reader, writer)
        writer.write(sent)
        await silent(reader, writer)

    async with serving(answer) as port:
        yield port
