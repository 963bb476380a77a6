"""One connection to a node over asyncio: pumps bytes between transport and `Channel`, and results to who waits.

Frames on their way out: the first of a turn of the event loop goes at once, the others of that turn go together. A
system call for each of a thousand requests would cost more than all else; to wait until the last is encoded would
leave the node idle meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final, cast

from bridge.erlang.calls import Failed, Returned
from bridge.erlang.channel import Channel, Greeted, Lost
from bridge.erlang.errors import CallTimeout, ErlangError, NodeDown
from bridge.erlang.guest import Request
from bridge.erlang.handshake import Agreed
from bridge.log import Line

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.erlang.calls import Call
    from bridge.erlang.channel import Event
    from bridge.erlang.terms import Term

log = logging.getLogger(__name__)

HIGH_WATER: Final = 4 * 1024 * 1024
"""Bytes that wait to be sent before callers wait too, and before nothing more is read from the peer."""
PIECE: Final = 4096
"""Bytes that wait for others to be sent with: some thirty requests."""
_CLOSED: Final = "the bridge closed the connection"
FAREWELL_SECONDS: Final = 0.5
"""How long a connection stays open for the processes in the node that are killed when it is closed."""


class Connection(asyncio.Protocol):
    """A connection from the first frame of the handshake to its loss."""

    def __init__(
        self,
        peer: str,
        make: Callable[[float], Channel],
        on_request: Callable[[Connection, Request], None],
        on_lost: Callable[[Connection], None],
        on_up: Callable[[str], None] | None = None,
    ) -> None:
        """Prepare for a transport.

        Args:
            peer: the node's name.
            make: gives the channel, at the present time.
            on_request: takes a `gen_server:call` for a registered name.
            on_lost: told once that the connection is of no more use.
            on_up: called with the peer's name when the handshake is done.
        """
        self._loop = asyncio.get_running_loop()
        self.peer = peer
        self.ready: asyncio.Future[Agreed] = self._loop.create_future()
        self.agreed: Agreed | None = None
        self.lost = False
        self.why = ""
        """Why it is lost."""
        self.by_peer = False
        """Whether the peer closed it, and neither we nor a reset ended it."""
        self._make = make
        self._channel: Channel | None = None
        self._on_request = on_request
        self._on_lost = on_lost
        self._on_up = on_up
        self._transport: asyncio.Transport | None = None
        self._batching = False
        self._writable = asyncio.Event()
        self._writable.set()
        self._buffered = 0
        self._greeted = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._ended = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._next_check = 0.0
        """When the timer is due; 0 where there is none."""

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        self._channel = self._make(self._loop.time())
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer; what no node says ends the connection."""
        channel = self._channel
        assert channel
        for event in channel.receive_data(data, self._loop.time()):
            self._happened(event)
        if channel.unsent:
            self._flush_soon()
        if channel.next_check < self._next_check:
            self._check()
        if not self._quiet.is_set() and not channel.in_flight:
            self._quiet.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the handshake or every call in flight, at once."""
        reason = str(exc) if exc else "it closed the connection"
        self.by_peer = exc is None and not self.lost
        if self._channel and not self.ready.done():
            certificate = str(getattr(exc, "reason", None) or "") if type(exc).__module__ == "ssl" else None
            self._refuse(self._channel.closed(reason, certificate))
        self._end(reason)
        self._ended.set()

    def pause_writing(self) -> None:
        """Callers wait until the peer has taken more; so does the peer, whose requests would make answers pile up."""
        self._writable.clear()
        assert self._transport
        self._buffered = self._transport.get_write_buffer_size()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Callers and peer go on."""
        self._writable.set()
        assert self._transport
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _happened(self, event: Event) -> None:
        if event.__class__ is Returned:  # nearly every one; a pattern takes longer to look at than all else here
            call, value = event
            waiter = cast("asyncio.Future[Term]", call.waiter)
            if not waiter.done():
                waiter.set_result(value)
            return
        match event:
            case Failed(call, error):
                self._failed(call, error)
            case Request():
                self._on_request(self, event)
            case Agreed():
                self._agreed(event)
            case Greeted():
                self._greeted.set()
            case Lost(NodeDown() as silence):
                self._end(silence.detail)
            case Lost(error):
                self._refuse(error)
                self._end(error.what)

    def _agreed(self, agreed: Agreed) -> None:
        self.agreed = agreed
        if not self.ready.done():
            self.ready.set_result(agreed)
        if self._on_up:
            self._on_up(self.peer)
        self._check()

    @staticmethod
    def _failed(call: Call, error: ErlangError) -> None:
        waiter = cast("asyncio.Future[Term] | None", call.waiter)
        if waiter and not waiter.done():
            waiter.set_exception(error)

    # writing

    def send(self, frame: bytes) -> None:
        """Send a frame that a registered name answers with; without effect once the connection is lost."""
        if self._channel and not self.lost:
            self._channel.send(frame)
            self._flush_soon()

    def _flush_soon(self) -> None:
        assert self._channel
        if not self._batching:
            self._batching = True
            self._loop.call_soon(self._end_of_batch)
            self._flush()
        elif self._channel.unsent >= PIECE:
            self._flush()

    def _end_of_batch(self) -> None:
        self._batching = False
        if self._channel and self._channel.unsent:
            self._flush()

    def _flush(self) -> None:
        if self._channel and self._channel.unsent and self._transport and not self.lost:
            self._channel.wrote(self._loop.time())
            self._transport.write(self._channel.data_to_send())

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
            EtfError: an argument or the result cannot be a term, or is beyond the limits.
        """
        # One that waited may find that another has filled the buffer meanwhile.
        while not self.lost and not (self._greeted.is_set() and self._writable.is_set()):
            try:
                async with asyncio.timeout_at(deadline):
                    await self._writable.wait()
                    await self._greeted.wait()
            except TimeoutError as error:
                raise CallTimeout(self.peer, timeout) from error
        if self.lost or self._channel is None:
            raise NodeDown(self.peer, self.why)
        call = self._channel.start(module, function, args)
        call.waiter = future = self._loop.create_future()
        self._flush_soon()
        timer = self._loop.call_at(deadline, self._expire, call, timeout)
        try:
            return await future
        except (CallTimeout, asyncio.CancelledError):
            self._channel.give_up(call)
            self._flush_soon()
            raise
        finally:
            timer.cancel()

    def _expire(self, call: Call, timeout: float) -> None:
        self._failed(call, CallTimeout(self.peer, timeout))

    # the end

    def _check(self) -> None:
        """Let the channel look at the time, now and when it next wants to."""
        if self._timer:
            self._timer.cancel()
        if self.lost or not self._channel or not self._transport:
            return
        taken = False
        if not self._writable.is_set():
            # it is not read while it takes long data, so that it takes them is its sign of life
            before, self._buffered = self._buffered, self._transport.get_write_buffer_size()
            taken = self._buffered < before
        for event in self._channel.check(self._loop.time(), taken=taken):
            self._happened(event)
        self._flush()
        if not self.lost:
            self._next_check = self._channel.next_check
            self._timer = self._loop.call_at(self._next_check, self._check)

    def _refuse(self, error: ErlangError) -> None:
        if not self.ready.done():
            self.ready.set_exception(error)
            self.ready.exception()  # whether or not anybody waits

    async def close(self) -> None:
        """Kill what runs in the node for us, and close; calls in flight fail."""
        if self._channel and self._transport and not self.lost:
            self._quiet.clear()
            for event in self._channel.give_up_all(_CLOSED):
                self._happened(event)
            self._flush()
            if self._channel.in_flight:
                await self._within(self._quiet)
        self.abort()
        if self._transport:
            await self._within(self._ended)

    async def _within(self, event: asyncio.Event) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_SECONDS):
                await event.wait()

    def abort(self) -> None:
        """Close at once; calls in flight fail."""
        self._end(_CLOSED)

    def _end(self, why: str) -> None:
        if self.lost:
            return
        self.lost = True
        self.why = why
        if self._timer:
            self._timer.cancel()
        for call, error in self._channel.fail_all(why) if self._channel else ():
            self._failed(call, error)
        self._writable.set()
        self._greeted.set()
        self._quiet.set()
        if self._transport:
            self._transport.abort()
        if self.agreed:
            log.debug(Line("connection_lost", node=self.peer, reason=why))
        self._on_lost(self)
