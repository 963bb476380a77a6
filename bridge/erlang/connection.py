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
from bridge.erlang.channel import Learned, Lost
from bridge.erlang.errors import CallTimeout, NodeDown
from bridge.erlang.guest import Request
from bridge.erlang.handshake import Agreed
from bridge.log import Line

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.erlang.calls import Call
    from bridge.erlang.channel import Channel, Event
    from bridge.erlang.errors import ConnectError, ErlangError
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

    _transport: asyncio.Transport

    def __init__(
        self,
        channel: Channel,
        on_request: Callable[[Connection, Request], None],
        on_lost: Callable[[Connection, str], None],
    ) -> None:
        """Prepare for a transport.

        Args:
            channel: at its start.
            on_request: takes a `gen_server:call` for a registered name.
            on_lost: called once with the reason when the connection is of no more use.
        """
        self._loop = asyncio.get_running_loop()
        self.peer = channel.peer
        self.loss: ConnectError | NodeDown | None = None
        """Why the connection is of no more use."""
        self.closed_by_peer = False
        """Whether the peer closed it, and neither we nor a reset ended it."""
        self._channel = channel
        self._on_request = on_request
        self._on_lost = on_lost
        self._batching = False
        self._writable = True
        self._buffered = 0
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()
        """Never set for long: it wakes whoever waits for anything to change, who then looks again."""

    @property
    def agreed(self) -> Agreed | None:
        """What the handshake settled, once it is done."""
        return self._channel.agreed

    async def shaken(self) -> None:
        """Wait for the handshake.

        Raises:
            ConnectError: it has failed.
        """
        await self._until(lambda: self.agreed or self.loss)
        if self.loss and not self.agreed:
            raise self.loss

    async def _until(self, holds: Callable[[], object]) -> None:
        while not holds():
            await self._changed.wait()

    def _wake(self) -> None:
        self._changed.set()
        self._changed.clear()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Take bytes of the peer; what no node says ends the connection."""
        for event in self._channel.receive_data(data, self._loop.time()):
            self._happened(event)
        if self._channel.unsent:
            self._flush_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the handshake or every call in flight, at once."""
        reason = str(exc) if exc else "it closed the connection"
        certificate = str(getattr(exc, "reason", None) or "") if type(exc).__module__ == "ssl" else None
        self.closed_by_peer = exc is None and self.loss is None
        self._end(self._channel.closed(reason, certificate))
        self._closed = True
        self._wake()

    def pause_writing(self) -> None:
        """Callers wait until the peer has taken more; so does the peer, whose requests would make answers pile up."""
        self._writable = False
        self._buffered = self._transport.get_write_buffer_size()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Callers and peer go on."""
        self._writable = True
        if not self._transport.is_closing():
            self._transport.resume_reading()
        self._wake()

    def _happened(self, event: Event) -> None:
        if event.__class__ is Returned:  # nearly every one; a pattern takes longer to look at than all else here
            call, value = event
            waiter = cast("asyncio.Future[Term]", call.waiter)
            if waiter.done():
                self._wake()  # `close` waits for what was given up
            else:
                waiter.set_result(value)
            return
        match event:
            case Failed(call, error):
                self._failed(call, error)
            case Request():
                self._on_request(self, event)
            case Agreed() | Learned():
                self._wake()
                self._check()
            case Lost(error):
                self._end(error)

    def _failed(self, call: Call, error: ErlangError) -> None:
        waiter = cast("asyncio.Future[Term] | None", call.waiter)
        if waiter is None or waiter.done():
            self._wake()
        else:
            waiter.set_exception(error)

    # writing

    def send(self, frame: bytes) -> None:
        """Send a frame that a registered name answers with; without effect once the connection is lost."""
        self._channel.send(frame)
        self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._batching:
            self._batching = True
            self._loop.call_soon(self._end_of_batch)
            self._flush()
        elif self._channel.unsent >= PIECE:
            self._flush()

    def _end_of_batch(self) -> None:
        self._batching = False
        self._flush()

    def _flush(self) -> None:
        if self._channel.unsent and self.loss is None:
            self._transport.write(self._channel.data_to_send(self._loop.time()))

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
        channel = self._channel
        # One that waited may find that another has filled the buffer meanwhile.
        while self.loss is None and not (channel.greeted and self._writable):
            try:
                async with asyncio.timeout_at(deadline):
                    await self._changed.wait()
            except TimeoutError as error:
                raise CallTimeout(self.peer, timeout) from error
        if self.loss:
            raise NodeDown(self.peer, self.loss.detail)
        call = channel.calls.start(module, function, args)
        call.waiter = future = self._loop.create_future()
        self._flush_soon()
        timer = self._loop.call_at(deadline, self._expire, call, timeout)
        try:
            return await future
        except (CallTimeout, asyncio.CancelledError):
            channel.calls.give_up(call)
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
        if self.loss:
            return
        taken = False
        if not self._writable:
            # it is not read while it takes long data, so that it takes them is its sign of life
            before, self._buffered = self._buffered, self._transport.get_write_buffer_size()
            taken = self._buffered < before
        self._timer = None
        for event in self._channel.check(self._loop.time(), taken=taken):
            self._happened(event)
        self._flush()
        if not self.loss:
            self._timer = self._loop.call_at(self._channel.next_check, self._check)

    async def close(self) -> None:
        """Kill what runs in the node for us, and close; calls in flight fail."""
        calls = self._channel.calls
        if not self.loss:
            for call, error in calls.fail_all(_CLOSED):
                self._failed(call, error)
                calls.give_up(call)
            self._flush()
            await self._at_most(FAREWELL_SECONDS, lambda: self.loss or not calls.in_flight)
        self.abort()
        await self._at_most(FAREWELL_SECONDS, lambda: self._closed)

    async def _at_most(self, seconds: float, holds: Callable[[], object]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until(holds)

    def abort(self) -> None:
        """Close at once; calls in flight fail."""
        self._end(NodeDown(self.peer, _CLOSED))

    def _end(self, loss: ConnectError | NodeDown) -> None:
        if self.loss:
            return
        self.loss = loss
        if self._timer:
            self._timer.cancel()
        self._transport.abort()
        if self.agreed:
            for call, error in self._channel.calls.fail_all(loss.detail):
                self._failed(call, error)
            log.debug(Line("connection_lost", node=self.peer, reason=loss.detail))
        self._wake()
        self._on_lost(self, loss.detail)
