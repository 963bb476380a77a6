"""One connection to a node: an asyncio protocol around the machines for handshake, calls and requests.

Frames have lengths of 2 bytes during the handshake and 4 bytes after it; over TLS 4 bytes throughout.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, NoReturn

from bridge.erlang import control, guest
from bridge.erlang.calls import Calls
from bridge.erlang.errors import (
    CallTimeout,
    CertificateError,
    ConnectError,
    ErlangError,
    NodeDown,
    ProtocolViolation,
    RemoteError,
    TlsExpected,
)
from bridge.erlang.etf_decode import DEFAULT_LIMITS, Limits
from bridge.erlang.outbox import Outbox
from bridge.erlang.terms import Atom, Pid
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
"""Bytes that wait to be sent before callers wait too, and before nothing more is read from the peer."""
SILENCE_UNTIL_KNOWN: Final = 300.0
"""Seconds of silence that are borne until the peer has told its net_ticktime: enough for one of 240 s."""
SILENCE_FACTOR: Final = 1.25
"""A node gives up a peer after a quarter more than its net_ticktime without a sign of life; so do we."""

_TLS_RECORDS: Final = b"\x15\x16"


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
        on_ready: Callable[[Connection], None] | None = None,
        registered: Container[str] = (),
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Prepare for a transport.

        Args:
            peer: the node's name, as far as it is known.
            machine: the handshake.
            tls: whether the transport is TLS.
            on_request: takes a `gen_server:call` for a registered name.
            on_lost: told once that the connection is of no more use.
            on_ready: told that the handshake is done.
            registered: the names that take calls.
            limits: of the terms that the peer sends.
        """
        self.peer = peer
        self.ready: asyncio.Future[Agreed] = asyncio.get_running_loop().create_future()
        self.agreed: Agreed | None = None
        self.lost = False
        self._loop = asyncio.get_running_loop()
        self._machine = machine
        self._tls = tls
        self._head = 4 if tls else 2
        self._on_request = on_request
        self._on_lost = on_lost
        self._on_ready = on_ready
        self._registered = registered
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._partial = bytearray()
        self._needed = 0
        self._outbox: Outbox | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._unsent = 0
        self._calls: Calls | None = None
        self._greeted = False
        self._greeting: asyncio.Task[None] | None = None
        self._silence = SILENCE_UNTIL_KNOWN
        self._heard = 0.0
        self._watch: asyncio.TimerHandle | None = None
        self._why = ""

    @property
    def begun(self) -> bool:
        """Whether there is a transport, and with it the first frame of a handshake of ours."""
        return self._transport is not None

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake, if it is ours to begin."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if self.lost:  # turned away before the transport was there
            transport.abort()
            return
        transport.set_write_buffer_limits(high=HIGH_WATER)
        self._outbox = Outbox(transport)
        start = getattr(self._machine, "start", None)
        if start:
            self._write(start())

    def data_received(self, data: bytes) -> None:
        """Cut the stream into frames; a violation ends the connection."""
        self._heard = self._loop.time()
        if self._partial:
            # every byte of a long frame is copied twice, however many pieces it comes in
            self._partial += data
            if len(self._partial) < self._needed:
                return
            data = bytes(self._partial)
            self._partial = bytearray()
        try:
            self._frames(data)
        except ErlangError as error:
            self._fail(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the handshake or every call in flight, at once."""
        why = self._why or (str(exc) if exc else "it closed the connection")
        self._end(why)
        if not self.ready.done():
            closed = getattr(self._machine, "closed", None)
            error: ConnectError
            if type(exc).__module__ == "ssl":
                error = CertificateError(self.peer, getattr(exc, "reason", None) or why)
            elif self._tls and closed and self._machine.waits_for == "status":
                error = CertificateError(self.peer, "it closed right after the TLS handshake, so it may not trust ours")
            elif closed:
                error = closed()
            else:
                error = ProtocolViolation(self.peer, "it closed during the handshake")
            self._refuse(error)

    def pause_writing(self) -> None:
        """Callers wait until the peer has taken more; so does the peer, whose requests would make answers pile up."""
        self._writable.clear()
        assert self._transport
        self._unsent = self._transport.get_write_buffer_size()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Callers and peer go on."""
        self._writable.set()
        assert self._transport
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # frames

    def _frames(self, data: bytes) -> None:
        pos, size = 0, len(data)
        while size - pos >= self._head:
            start = pos + self._head
            length = int.from_bytes(data[pos:start], "big")
            if length > (FRAME_LIMIT if self.agreed else HANDSHAKE_FRAME_LIMIT):
                self._too_long(length, data[pos])
            end = start + length
            if end > size:
                self._needed = end - pos
                break
            if self.agreed:
                self._message(data, start, end)
            else:
                self._shake(data[start:end])
            if self.lost:
                return
            pos = end
        else:
            self._needed = self._head
        if pos < size:
            self._partial += memoryview(data)[pos:]

    def _too_long(self, length: int, first: int) -> NoReturn:
        if not self.agreed and first in _TLS_RECORDS:
            raise TlsExpected(self.peer)
        raise ProtocolViolation(self.peer, f"a frame of {length} bytes is beyond the limit")

    def _shake(self, frame: bytes) -> None:
        answers = self._machine.receive(frame)
        for answer in [answers] if isinstance(answers, bytes) else answers or []:
            self._write(answer)
        if self._machine.agreed:
            self.agreed = self._machine.agreed
            self.peer = self.agreed.peer_name
            self._calls = Calls(self.agreed, self._write, self._limits)
            self._head = 4
            self._watch = self._loop.call_later(self._silence, self._watch_silence)
            if not self.ready.done():
                self.ready.set_result(self.agreed)
            if self._on_ready:
                self._on_ready(self)

    def _message(self, data: bytes, start: int, end: int) -> None:
        if start == end:
            # Answering each tick with a tick holds the connection at every net_ticktime; a timer of our own would not.
            self._write(control.TICK)
            return
        assert self._calls is not None
        if self._calls.recognize(data, start, end):
            return
        message = control.read(data, start, end, self._limits)
        if self._calls.answer(message):
            return
        answers = guest.answer(message, self._registered)
        if isinstance(answers, guest.Request):
            self._on_request(self, answers)
        else:
            for answer in answers:
                self._write(answer)

    def send(self, frame: bytes) -> None:
        """Send a frame that a registered name answers with; without effect once the connection is lost."""
        self._write(frame)

    def _write(self, frame: bytes) -> None:
        if self._outbox and not self.lost:
            self._outbox.put(len(frame).to_bytes(self._head, "big") + frame)

    # calls

    async def call(self, module: str, function: str, args: list[Term], timeout: float, deadline: float) -> Term:  # noqa: ASYNC109
        """Call a function in the node by erpc and wait for its result.

        Args:
            module: the module's name.
            function: the function's name.
            args: its arguments.
            timeout: the seconds that the caller gave, for the error.
            deadline: when they are over, in the event loop's time.

        Raises:
            NodeDown: the connection was lost.
            CallTimeout: no result in time; the process there is killed.
            RemoteError: the function failed, or does not exist.
            EtfError: an argument is no term.
        """
        if not self._greeted or not self._writable.is_set():
            try:
                async with asyncio.timeout_at(deadline):
                    await self._writable.wait()
                    await self._greetings()
            except TimeoutError as error:
                raise CallTimeout(self.peer, timeout) from error
        if self.lost or self._calls is None:
            raise NodeDown(self.peer, self._why)
        future = self._loop.create_future()
        call = self._calls.start(future, module, function, args)
        timer = self._loop.call_at(deadline, self._expire, future, timeout)
        try:
            return await future
        except (CallTimeout, asyncio.CancelledError):
            self._calls.give_up(call)
            raise
        finally:
            timer.cancel()

    def _expire(self, future: asyncio.Future[Term], timeout: float) -> None:
        if not future.done():
            future.set_exception(CallTimeout(self.peer, timeout))

    async def _greetings(self) -> None:
        """Wait for what is asked of every peer once, before the first call; whoever calls meanwhile waits too."""
        if not self._greeted:
            self._greeting = self._greeting or self._loop.create_task(self._greet())
            await asyncio.wait({self._greeting})

    async def _greet(self) -> None:
        """Ask for a group leader and for the net_ticktime.

        Code that prints would send us I/O requests and wait for the answers, if the group leader were ours.
        """
        if self._calls is None or self.lost:
            return
        leader, ticktime = self._loop.create_future(), self._loop.create_future()
        self._calls.start(ticktime, "net_kernel", "get_net_ticktime", [])
        ticktime.add_done_callback(self._ticktime_told)
        self._calls.start(leader, "erlang", "whereis", [Atom("user")])
        try:
            found = await leader
        except NodeDown:
            return
        except RemoteError:
            found = None
        if isinstance(found, Pid):
            self._calls.lead(found)
        self._greeted = True

    def _ticktime_told(self, told: asyncio.Future[Term]) -> None:
        seconds = None if told.cancelled() or told.exception() else told.result()
        if isinstance(seconds, tuple):  # {ongoing_change_to, Seconds}
            seconds = seconds[-1]
        if isinstance(seconds, int) and seconds > 0 and not self.lost:
            self._silence = SILENCE_FACTOR * seconds
            self._watch_silence()

    # the end

    def _watch_silence(self) -> None:
        if self._watch:
            self._watch.cancel()
        now = self._loop.time()
        if self._transport and not self._writable.is_set():
            # it is not read while it takes long data, so that it takes them is its sign of life
            unsent, self._unsent = self._unsent, self._transport.get_write_buffer_size()
            self._heard = now if self._unsent < unsent else self._heard
        silent = now - self._heard
        if silent >= self._silence:
            self._end(f"nothing was heard for {silent:.0f} s")
        else:
            self._watch = self._loop.call_later(self._silence - silent, self._watch_silence)

    def _fail(self, error: ErlangError) -> None:
        self._end(getattr(error, "detail", "") or str(error))
        self._refuse(error if isinstance(error, ConnectError) else ProtocolViolation(self.peer, str(error)))

    def _refuse(self, error: ConnectError) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()  # whether or not anybody waits

    def close(self) -> None:
        """Close at once; calls in flight fail."""
        self._end("the bridge closed the connection")

    def _end(self, why: str) -> None:
        if self.lost:
            return
        self.lost = True
        self._why = why
        if self._watch:
            self._watch.cancel()
        if self._calls is not None:
            self._calls.fail(why)
        self._writable.set()
        if self._transport:
            self._transport.abort()
        if self.agreed:
            log.debug(Line("connection_lost", node=self.peer, reason=why))
        self._on_lost(self)
