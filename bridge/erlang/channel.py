"""One connection to a node as a machine without I/O: bytes in, events and bytes out.

    receive_data(bytes, now) → events       what the node said: the handshake is done, a call has its result, …
    data_to_send(now) → bytes               what is to be written, after each call of any method
    check(now) → events                     at `next_check`: ticks that are due, and whether the node keeps silent

Frames have lengths of 2 bytes during the handshake and 4 bytes after it; over TLS 4 bytes throughout. An empty frame
is a tick, a sign of life. Times are seconds of a clock that does not jump.
Source: "Protocol between Connected Nodes" of the Erlang Distribution Protocol chapter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang import control, guest
from bridge.erlang.calls import Calls, Failed, Returned
from bridge.erlang.errors import (
    CertificateError,
    ConnectError,
    EtfError,
    NodeDown,
    ProtocolViolation,
    TlsExpected,
)
from bridge.erlang.guest import Request
from bridge.erlang.handshake import Agreed, Expects
from bridge.erlang.terms import Atom, Pid

if TYPE_CHECKING:
    from collections.abc import Container

    from bridge.erlang.calls import Call
    from bridge.erlang.handshake import Handshake

FRAME_LIMIT: Final = 128 * 1024 * 1024
"""A longer frame is skipped: far above any report, far below what would exhaust the machine."""
HANDSHAKE_FRAME_LIMIT: Final = 4096
SILENCE_UNTIL_KNOWN: Final = 300.0
"""Seconds of silence that are borne until the node has said its net_ticktime: enough for one of 240 s."""
SILENCE_FACTOR: Final = 1.25
"""A node gives up a peer after a quarter more than its net_ticktime without a sign of life; so do we."""
TICKS: Final = 4
"""Signs of life within a net_ticktime, as nodes give them."""
_HEAD_BYTES: Final = 1024
"""Of a frame that is too long: enough to see which call it answers."""
_TLS_RECORDS: Final = b"\x15\x16"


class Learned(NamedTuple):
    """The node has answered a question of ours: `greeted` or `next_check` may be another now."""


class Lost(NamedTuple):
    """The connection is of no more use, and this is why: no handshake, or after it, it went down."""

    error: ConnectError | NodeDown


Event = Agreed | Learned | Returned | Failed | Request | Lost


class Channel:
    """A connection from the first frame of the handshake on."""

    calls: Calls
    """The calls in flight; only after `Agreed`."""

    def __init__(
        self,
        handshake: Handshake,
        *,
        tls: bool,
        now: float,
        registered: Container[str] = (),
    ) -> None:
        """Prepare; the first frame is ready to be sent.

        Args:
            handshake: at its start.
            tls: whether the transport is TLS.
            now: the present time.
            registered: the names that take calls.
        """
        self.peer = handshake.peer
        self.agreed: Agreed | None = None
        self.greeted = False
        """Whether calls may be made: the processes that run them have a group leader in the node."""
        self.unsent = 0
        """Bytes that `data_to_send` would give."""
        self.next_check = now + SILENCE_UNTIL_KNOWN
        self._handshake = handshake
        self._tls = tls
        self._head = 4 if tls else 2
        self._limit = HANDSHAKE_FRAME_LIMIT
        self._take = self._shake
        """What is done with a whole frame."""
        self._registered = registered
        self._out: list[bytes] = []
        self._partial = bytearray()
        self._needed = 0
        self._skipped = 0
        self._leader: Call | None = None
        self._ticktime: Call | None = None
        self._silence = SILENCE_UNTIL_KNOWN
        self._tick_every = SILENCE_UNTIL_KNOWN
        self._heard_at = self._sent_at = now
        self.send(handshake.start())

    # what is to be sent

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        self._out.append(len(frame).to_bytes(self._head, "big") + frame)
        self.unsent += len(frame) + self._head

    def data_to_send(self, now: float) -> bytes:
        """The bytes to write, once; with them we give a sign of life."""
        self._sent_at = now
        out, self._out, self.unsent = self._out, [], 0
        return out[0] if len(out) == 1 else b"".join(out)

    # what is received

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take bytes as they come, in pieces of any size; nothing after `Lost`."""
        events: list[Event] = []
        self._heard_at = now
        try:
            self._receive(data, events)
        except ConnectError as error:
            events.append(Lost(error))
        except EtfError as error:
            events.append(Lost(NodeDown(self.peer, f"it said what no node says: {error.what}")))
        return events

    def _receive(self, data: bytes, events: list[Event]) -> None:
        if self._skipped:
            data, self._skipped = data[self._skipped :], max(0, self._skipped - len(data))
        if self._partial:
            # every byte of a long frame is copied twice, however many pieces it comes in
            self._partial += data
            if len(self._partial) < self._needed:
                return
            data = bytes(self._partial)
            self._partial = bytearray()
        pos, size = 0, len(data)
        self._needed = self._head
        while size - pos >= self._head:
            start = pos + self._head
            length = int.from_bytes(data[pos:start], "big")
            end = start + length
            if length > self._limit:
                if not self.agreed:
                    raise self._no_frame(data[pos], length)
                end = start + _HEAD_BYTES
            if end > size:
                self._needed = end - pos
                break
            if length > self._limit:
                self.calls.too_long(data[start:end], length, events)
                self._skipped = start + length - size
                return
            self._take(data, start, end, events)
            pos = end
        if pos < size:
            self._partial += memoryview(data)[pos:]

    def _no_frame(self, first: int, length: int) -> ConnectError:
        """What a length means that no frame of a handshake has."""
        if first in _TLS_RECORDS:
            return TlsExpected(self.peer)
        return ProtocolViolation(self.peer, f"a frame of {length} bytes is beyond the limit")

    def _shake(self, data: bytes, start: int, end: int, events: list[Event]) -> None:
        answer = self._handshake.receive(data[start:end])
        if answer is not None:
            self.send(answer)
        if agreed := self._handshake.agreed:
            self.agreed = agreed
            self._head, self._limit, self._take = 4, FRAME_LIMIT, self._message
            self.calls = Calls(agreed, self.send)
            # Code that prints would send us I/O requests and wait for the answers, if the group leader were ours.
            self._ticktime = self.calls.start("net_kernel", "get_net_ticktime", [])
            self._leader = self.calls.start("erlang", "whereis", [Atom("user")])
            events.append(agreed)

    def _message(self, data: bytes, start: int, end: int, events: list[Event]) -> None:
        if start == end:
            # Answering each tick with a tick holds the connection at every net_ticktime.
            self.send(control.TICK)
            return
        message = self.calls.receive(data, start, end, events)
        if message is None:
            if (self._ticktime or self._leader) and events:
                events[-1] = self._learn(events[-1])
        elif not isinstance(message.payload, EtfError):
            answers = guest.answer(message, self._registered)
            if isinstance(answers, Request):
                events.append(answers)
            else:
                for answer in answers:
                    self.send(answer)

    def _learn(self, event: Event) -> Event:
        """Take the answers to our own questions, which are nobody else's."""
        if not isinstance(event, Returned | Failed) or event.call not in {self._leader, self._ticktime}:
            return event
        value = event.value if isinstance(event, Returned) else None
        if event.call is self._leader:
            self.greeted, self._leader = True, None
            if isinstance(value, Pid):
                self.calls.lead(value)
        else:
            self._ticktime = None
            seconds = value[-1] if isinstance(value, tuple) and value else value  # {ongoing_change_to, Seconds}
            if isinstance(seconds, int) and seconds > 0:
                self._silence = SILENCE_FACTOR * seconds
                self._tick_every = seconds / TICKS
        return Learned()

    # time

    def check(self, now: float, *, taken: bool = False) -> list[Event]:
        """Give a sign of life where none was given lately, and see whether the node gives any.

        A node that sends a long frame sends no ticks, and expects ours meanwhile.

        Args:
            now: the present time.
            taken: whether the node has taken bytes since the last check; then it lives, though nothing is read of it.
        """
        if taken:
            self._heard_at = now
        silent = now - self._heard_at
        if silent >= self._silence:
            return [Lost(NodeDown(self.peer, f"nothing was heard for {silent:.0f} s"))]
        if self.agreed and now - self._sent_at >= self._tick_every:
            self.send(control.TICK)
        self.next_check = min(self._heard_at + self._silence, now + self._tick_every)
        return []

    # the end

    def closed(self, reason: str, certificate: str | None) -> ConnectError | NodeDown:
        """What it means that the transport was closed.

        Args:
            reason: the transport's word for it.
            certificate: what TLS said, where it ended the connection.
        """
        if self.agreed:
            return NodeDown(self.peer, reason)
        if certificate is not None:
            return CertificateError(self.peer, certificate or reason)
        if self._tls and self._handshake.expects is Expects.STATUS:
            return CertificateError(self.peer, "it closed right after the TLS handshake, so it may not trust ours")
        return self._handshake.closed()
