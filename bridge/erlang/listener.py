"""The listening side of a node: a server for its peers, and the entry with the EPMD of this host that leads to it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from bridge.erlang import epmd
from bridge.erlang.dial import PHASE_TIMEOUT
from bridge.erlang.errors import EtfError, NameConflict, NotRegistered
from bridge.log import Line

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from bridge.erlang.connection import Connection
    from bridge.erlang.names import NodeName

log = logging.getLogger(__name__)

HANDSHAKES: Final = 64
"""Peers in their handshake at once; more are turned away."""
FIRST_BACKOFF: Final = 0.2
LONGEST_BACKOFF: Final = 30.0
"""Seconds between attempts to register again."""


def backoff() -> Iterator[float]:
    """How long to wait before each further attempt."""
    wait = FIRST_BACKOFF
    while True:
        yield wait
        wait = min(LONGEST_BACKOFF, 2 * wait)


class Listener:
    """Takes connections of peers, from `open` to `close`."""

    def __init__(self, name: NodeName, make: Callable[[], Connection], context: ssl.SSLContext | None) -> None:
        """Prepare to listen as `name`; `make` gives a connection whose handshake waits for a peer."""
        self.port = 0
        self._name = name
        self._make = make
        self._context = context
        self._server: asyncio.Server | None = None
        self._shaking: dict[Connection, asyncio.TimerHandle] = {}
        self._epmd: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._keeping: asyncio.Task[None] | None = None

    async def open(self, host: str | None, port: int) -> None:
        """Listen.

        Raises:
            OSError: the address is taken or not ours.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, host, port, ssl=self._context)
        self.port = int(self._server.sockets[0].getsockname()[1])

    def _accept(self) -> Connection:
        connection = self._make()
        if len(self._shaking) >= HANDSHAKES:
            connection.close()
            return connection
        timer = asyncio.get_running_loop().call_later(PHASE_TIMEOUT, connection.close)
        self._shaking[connection] = timer
        connection.ready.add_done_callback(lambda _: self.forget(connection))
        return connection

    def forget(self, connection: Connection) -> None:
        """A connection has done its handshake, or is lost."""
        timer = self._shaking.pop(connection, None)
        if timer:
            timer.cancel()

    async def register(self, epmd_port: int) -> int:
        """Register with the EPMD of this host, and again whenever it restarts; gives our creation.

        Raises:
            NameConflict: another node has our name.
            NotRegistered: no EPMD answers.
        """
        creation = await self._register(epmd_port)
        self._keeping = asyncio.get_running_loop().create_task(self._keep(epmd_port))
        return creation

    async def _register(self, epmd_port: int) -> int:
        name = str(self._name)
        try:
            async with asyncio.timeout(PHASE_TIMEOUT):
                reader, writer = await asyncio.open_connection("localhost", epmd_port)
                try:
                    writer.write(epmd.alive(self._name.name, self.port))
                    head = await reader.readexactly(2)
                    rest = 0 if head[1] else epmd.creation_size(head)
                    creation = epmd.read_alive(head + await reader.readexactly(rest))
                except BaseException:
                    writer.transport.abort()
                    raise
        except (OSError, EOFError, EtfError) as error:
            raise NotRegistered(name, f"port {epmd_port}: {str(error) or 'no answer in time'}") from error
        if creation is None:
            writer.transport.abort()
            raise NameConflict(name, "the EPMD of this host has it for another node")
        self._epmd = reader, writer
        return creation

    async def _keep(self, epmd_port: int) -> None:
        """Stay registered: the entry lasts as long as the connection to EPMD does."""
        while self._epmd:
            reader, writer = self._epmd
            try:
                while await reader.read(64):
                    pass
            except OSError:
                pass
            writer.transport.abort()
            log.warning(Line("epmd_lost", name=self._name))
            for wait in backoff():
                await asyncio.sleep(wait)
                try:
                    await self._register(epmd_port)
                except (NameConflict, NotRegistered) as error:
                    log.debug(Line("epmd_still_lost", name=self._name, reason=error))
                else:
                    log.info(Line("epmd_registered_again", name=self._name))
                    break

    async def close(self) -> None:
        """Leave EPMD, stop listening, and close who is still in the handshake."""
        if self._keeping:
            self._keeping.cancel()
            await asyncio.wait({self._keeping})
        if self._epmd:
            self._epmd[1].transport.abort()
            self._epmd = None
        if self._server:
            self._server.close()
        for connection in list(self._shaking):
            connection.close()
