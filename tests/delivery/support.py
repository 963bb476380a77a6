"""Reports, clocks and servers that misbehave, for the tests of delivery."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge.conditions import Conditions
from bridge.delivery.ga4 import Ga4Destination
from bridge.delivery.loop import DeliveryLoop, deliver_within
from bridge.delivery.sender import Sender
from bridge.mongooseim.facts import Incarnation
from bridge.report.model import Event, Note, Report
from bridge.secret import Secret
from bridge.state.queue import Target
from bridge.times import MICROSECONDS, Clock

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Sequence

    from bridge.delivery.destination import Destination
    from bridge.state.state import State
    from bridge.state.status import DestinationStatus

SECRET = "very-secret-api-secret"
NOW = 1_700_000_000 * MICROSECONDS
HOUR = 3600 * MICROSECONDS
DAY = 24 * HOUR


@dataclass
class Hands:
    """A clock that is moved by hand: `pass_time` moves both clocks, `jump` only the time of day."""

    wall: int = NOW
    elapsed: int = 1_000 * MICROSECONDS
    boot: str = "first"

    @property
    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.elapsed, self.boot)

    def pass_time(self, microseconds: int) -> None:
        self.wall += microseconds
        self.elapsed += microseconds

    def jump(self, microseconds: int) -> None:
        self.wall += microseconds


def report(events: int = 3, collected_at: int | None = None, tag: str = "x", total: int = 5) -> Report:
    """A report whose events can be told apart by `tag` and number."""
    return Report(
        client_id="12.34",
        collected_at=time.time_ns() // 1000 if collected_at is None else collected_at,
        events=tuple(Event("module_with_opt", {"module": f"{tag}.{number}"}) for number in range(events)),
        totals={Incarnation("mim@host", 7): {"xmppMessageSent": total}},
        nodes={"mim@host": "6.8.0"},
        notes=(Note("note", "", "a note"),),
    )


def destination(endpoint: str, measurement_id: str = "G-TEST1") -> Ga4Destination:
    return Ga4Destination(measurement_id, Secret(SECRET), endpoint)


def targets(a_report: Report, destinations: Sequence[Destination]) -> list[Target]:
    """The report cut for each destination."""
    return [Target(one.id, one.name, one.batches(a_report)) for one in destinations]


def keep(store: State, a_report: Report, destinations: Sequence[Destination]) -> int:
    """A report from collection to the JSON log: it may be sent now."""
    cut = targets(a_report, destinations)
    number = store.add(a_report, cut)
    while not store.published(number):
        number = store.add(a_report, cut)
    return number


@dataclass(frozen=True)
class Sent:
    """What one delivery did for a destination, in events, and how the destination stands after it."""

    name: str
    delivered: int
    rejected: int
    dropped: int
    queued: int
    error: str | None
    retry_in: float | None

    @classmethod
    def between(cls, before: DestinationStatus, after: DestinationStatus, now: int) -> Sent:
        done = Counter(after.counters)
        done.subtract(before.counters)
        delivered, rejected = done.pop("delivered", 0), done.pop("rejected", 0)
        error = after.error if after.failing_since else None
        retry_in = None if after.retry_at is None else (after.retry_at - now) / MICROSECONDS
        return cls(after.name, delivered, rejected, done.total(), after.queued_events, error, retry_in)


async def send_all(
    store: State,
    destinations: Sequence[Destination],
    *,
    seconds: float = 20.0,
    conditions: Conditions | None = None,
    **options: Any,
) -> tuple[Sent, ...]:
    """Deliver without waiting between attempts, unless the server asks for it."""
    sender_options = {name: options.pop(name) for name in ("ca_file", "proxy", "total_seconds") if name in options}
    options.setdefault("uniform", lambda least, most: 0.0)
    configured = {to.id: to.name for to in destinations}
    before = store.status(0, configured).destinations[: len(configured)]
    async with Sender(**sender_options) as sender:
        known = conditions or Conditions()
        await deliver_within([DeliveryLoop(to, store, sender, known, **options) for to in destinations], seconds)
    status = store.status(0, configured)
    return tuple(Sent.between(*pair, status.now) for pair in zip(before, status.destinations, strict=False))


@dataclass
class TcpServer:
    """A server that does what a handler says, and counts connections."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mp/collect"

    async def read_request(self, reader: asyncio.StreamReader) -> bytes:
        """One whole request with a Content-Length."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().splitlines() if line.startswith(b"content-length:")), 0
        )
        whole = head + await reader.readexactly(length)
        self.requests.append(whole)
        return whole


Handler = Callable[[TcpServer, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def tcp_server(handle: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[TcpServer]:
    """Serve every connection with `handle`; what still runs at the end is cancelled."""
    server = TcpServer()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handle(server, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    listener = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.sleep(0)


def answering(answer: bytes) -> Handler:
    """Answer every request with these bytes and close."""

    async def handle(server: TcpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.read_request(reader)
        writer.write(answer)
        await writer.drain()

    return handle


async def hanging(server: TcpServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read the request and say nothing."""
    await server.read_request(reader)
    await asyncio.sleep(3600)


def unused_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
