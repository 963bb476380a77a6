"""One connection to a node: framing, handshake, ticks, calls in flight. An asyncio protocol around the machines.

Frames have lengths of 2 bytes during the handshake and 4 bytes after it; over TLS 4 bytes throughout.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from bridge.erlang import control, guest
from bridge.erlang.errors import (
    CallTimeout,
    ConnectError,
    ErlangError,
    EtfError,
    NodeDown,
    ProtocolViolation,
    RemoteError,
    TlsExpected,
)
from bridge.erlang.terms import Atom, Pid, Reference
from bridge.log import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from bridge.erlang.handshake import Acceptor, Agreed, Initiator
    from bridge.erlang.terms import Term

log = logging.getLogger(__name__)

FRAME_LIMIT: Final = 128 * 1024 * 1024
"""A longer frame is refused: far above any report, far below what would exhaust the machine."""
HANDSHAKE_FRAME_LIMIT: Final = 4096
HIGH_WATER: Final = 4 * 1024 * 1024
"""Bytes that wait to be sent before callers wait too."""
DEFAULT_TICK: Final = 60.0
"""Seconds between ticks until the peer's own are known; net_ticktime 240, the longest tried, has ticks of 60 s."""
SILENT_TICKS: Final = 5
"""A peer silent for this many of its own ticks is gone; a node itself gives up after five."""

_ERPC: Final = Atom("erpc")
_EXECUTE_CALL: Final = Atom("execute_call")
_MONITOR: Final = [Atom("monitor")]
_KILL: Final = Atom("kill")


class _Call:
    """A call in flight: the process that runs it, once known, and the future of its result."""

    __slots__ = ("future", "pid")

    def __init__(self, future: asyncio.Future[Term]) -> None:
        self.future = future
        self.pid: Pid | None = None


class Connection(asyncio.Protocol):
    """A connection from the first frame of the handshake to its loss."""

    def __init__(
        self,
        peer: str,
        machine: Initiator | Acceptor,
        *,
        tls: bool,
        on_request: Callable[[Connection, guest.Request], None],
        on_lost: Callable[[Connection], None],
        registered: Container[str] = (),
    ) -> None:
        self.peer = peer
        self.ready: asyncio.Future[Agreed] = asyncio.get_running_loop().create_future()
        self.agreed: Agreed | None = None
        self._machine = machine
        self._head = 4 if tls else 2
        self._on_request = on_request
        self._on_lost = on_lost
        self._registered = registered
        self._buffer = bytearray()
        self._calls: dict[tuple[int, ...], _Call] = {}
        self._numbers = 0
        self._leader: Pid | None = None
        self._self = Pid(Atom(""), 1, 0, 0)
        self._writable = asyncio.Event()
        self._writable.set()
        self._heard = 0.0
        self._tick: float | None = None
        self._ticked = False
        self._watch: asyncio.TimerHandle | None = None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, if it is ours to begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=HIGH_WATER)
        start = getattr(self._machine, "start", None)
        if start:
            self._write_frame(start())

    def data_received(self, data: bytes) -> None:
        """Cut the stream into frames; a violation ends the connection."""
        self._buffer += data
        try:
            self._frames()
        except ErlangError as error:
            self._fail(error)

    def eof_received(self) -> None:
        """The peer closes: so do we."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the handshake or every call in flight, at once."""
        if self._watch:
            self._watch.cancel()
        if not self.ready.done():
            closed = getattr(self._machine, "closed", None)
            error = closed() if closed else ProtocolViolation(self.peer, "it closed during the handshake")
            self.ready.set_exception(error)
            self.ready.exception()
        for call in self._calls.values():
            if not call.future.done():
                call.future.set_exception(NodeDown(self.peer, str(exc) if exc else "it closed the connection"))
        self._calls.clear()
        self._writable.set()
        self._on_lost(self)

    def pause_writing(self) -> None:
        """Callers wait until the peer has taken more."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Callers go on."""
        self._writable.set()

    # frames

    def _frames(self) -> None:
        while len(self._buffer) >= self._head:
            size = int.from_bytes(self._buffer[: self._head], "big")
            limit = FRAME_LIMIT if self.agreed else HANDSHAKE_FRAME_LIMIT
            if not self.agreed and self._buffer[0] in {0x15, 0x16} and self._head == 2:
                raise TlsExpected(self.peer)
            if size > limit:
                raise ProtocolViolation(self.peer, f"a frame of {size} bytes, the limit is {limit}")
            end = self._head + size
            if len(self._buffer) < end:
                return
            with memoryview(self._buffer) as view:
                frame = bytes(view[self._head : end])
            del self._buffer[:end]
            if self.agreed:
                self._message(frame)
            else:
                self._shake(frame)

    def _shake(self, frame: bytes) -> None:
        answers = self._machine.receive(frame)
        for answer in [answers] if isinstance(answers, bytes) else answers or []:
            self._write_frame(answer)
        if self._machine.agreed:
            self.agreed = self._machine.agreed
            self.peer = self.agreed.peer_name
            self._self = Pid(Atom(self.agreed.own_name), 1, 0, self.agreed.own_creation)
            self._head = 4
            loop = asyncio.get_running_loop()
            self._heard = loop.time()
            self._watch = loop.call_later(1.0, self._watch_silence)
            self.ready.set_result(self.agreed)

    def _message(self, frame: bytes) -> None:
        now = asyncio.get_running_loop().time()
        if not frame:
            # Answering each tick with a tick holds the connection at every net_ticktime; a timer of our own would not.
            self._write_frame(control.TICK)
            if self._ticked:
                self._tick = now - self._heard
            self._ticked = True
        else:
            self._ticked = False
        self._heard = now
        if frame:
            self._dispatch(control.read(frame))

    def _dispatch(self, message: control.Message) -> None:
        match message.control:
            case (control.SPAWN_REPLY, Reference() as reference, _, _, result):
                self._spawned(reference, result)
            case (control.PAYLOAD_MONITOR_P_EXIT, _, _, Reference() as reference):
                self._finished(reference, message.payload)
            case (control.MONITOR_P_EXIT, _, _, Reference() as reference, reason):
                self._finished(reference, reason)
            case _:
                answers = guest.answer(message, self._registered)
                if isinstance(answers, guest.Request):
                    self._on_request(self, answers)
                else:
                    for answer in answers:
                        self._write_frame(answer)

    def send(self, frame: bytes) -> None:
        """Send a frame that a registered name answers with."""
        self._write_frame(frame)

    def _write_frame(self, frame: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(len(frame).to_bytes(self._head, "big") + frame)

    # calls

    async def call(self, module: str, function: str, args: list[Term], timeout: float) -> Term:  # noqa: ASYNC109
        """Call a function in the node by erpc and wait for its result.

        Raises:
            NodeDown: the connection was lost.
            CallTimeout: no result in time; the process there is killed.
            RemoteError: the function failed, or does not exist.
        """
        try:
            async with asyncio.timeout(timeout):
                if self._leader is None:
                    self._leader = await self._leading()
                return await self._spawn(Atom(module), Atom(function), args, self._leader)
        except TimeoutError as error:
            raise CallTimeout(self.peer, timeout) from error

    async def _leading(self) -> Pid:
        """A real group leader: code that prints would else send us I/O requests and wait for the answers."""
        found = await self._spawn(Atom("erlang"), Atom("whereis"), [Atom("user")], self._self)
        return found if isinstance(found, Pid) else self._self

    async def _spawn(self, module: Atom, function: Atom, args: list[Term], leader: Pid) -> Term:
        await self._writable.wait()
        if self._transport.is_closing():
            raise NodeDown(self.peer, "the connection is closed")
        assert self.agreed
        self._numbers = self._numbers % 0xFFFF_FFFF + 1
        ids = (self._numbers & 0x3FFFF, self._numbers >> 18, 0)
        reference = Reference(self._self.node, ids, self.agreed.own_creation)
        call = self._calls[ids] = _Call(asyncio.get_running_loop().create_future())
        what = (_ERPC, _EXECUTE_CALL, 4)
        payload = [reference, module, function, args]
        self._write_frame(
            control.write_with(payload, control.SPAWN_REQUEST, reference, self._self, leader, what, _MONITOR)
        )
        try:
            return await call.future
        except asyncio.CancelledError:
            if call.pid:
                self._cancel(call.pid)
                self._calls.pop(ids, None)
            raise

    def _spawned(self, reference: Reference, result: Term) -> None:
        call = self._calls.get(reference.ids)
        if call is None:
            return
        if not isinstance(result, Pid):
            del self._calls[reference.ids]
            if not call.future.done():
                call.future.set_exception(RemoteError(self.peer, "error", result))
        elif call.future.cancelled():
            del self._calls[reference.ids]
            self._cancel(result)
        else:
            call.pid = result

    def _finished(self, reference: Reference, reason: Term) -> None:
        call = self._calls.pop(reference.ids, None)
        if call is None or call.future.done():
            return
        match reason:
            case (Reference() as mine, Atom() as kind, value) if mine == reference and kind == "return":
                call.future.set_result(value)
            case (Reference() as mine, Atom() as kind, value) if mine == reference:
                call.future.set_exception(RemoteError(self.peer, str(kind), value))
            case (Reference() as mine, Atom() as kind, value, _) if mine == reference:
                call.future.set_exception(RemoteError(self.peer, str(kind), value))
            case _:
                call.future.set_exception(RemoteError(self.peer, "exit", reason))

    def _cancel(self, pid: Pid) -> None:
        self._write_frame(control.write(control.EXIT2, self._self, pid, _KILL))

    # the end

    def _watch_silence(self) -> None:
        loop = asyncio.get_running_loop()
        if loop.time() - self._heard > SILENT_TICKS * (self._tick or DEFAULT_TICK):
            self._fail(NodeDown(self.peer, "nothing was heard for several of its ticks"))
            return
        self._watch = loop.call_later(max(0.5, (self._tick or DEFAULT_TICK) / 2), self._watch_silence)

    def _fail(self, error: ErlangError) -> None:
        if not self.ready.done():
            wrapped = error if isinstance(error, ConnectError) else ProtocolViolation(self.peer, str(error))
            self.ready.set_exception(wrapped)
            self.ready.exception()
        else:
            kind = "damaged" if isinstance(error, EtfError) else "lost"
            log.debug(Line("connection_failed", node=self.peer, kind=kind, reason=error))
        self._transport.abort()

    def close(self) -> None:
        """Close at once; calls in flight fail."""
        self._transport.abort()
