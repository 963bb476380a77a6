"""One connection to a node as a machine without I/O: bytes in, events and bytes out.

    receive_data(bytes, now) → events       what the node said: the handshake is done, a call has its result, …
    data_to_send() → bytes                  what is to be written, after each call of any method
    check(now) → events                     at `next_check`: ticks that are due, and whether the node keeps silent

Frames have lengths of 2 bytes during the handshake and 4 bytes after it; over TLS 4 bytes throughout. An empty frame
is a tick, a sign of life. Times are seconds of a clock that does not jump.
Source: "Protocol between Connected Nodes" of the Erlang Distribution Protocol chapter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, cast

from bridge.erlang import control, guest
from bridge.erlang.calls import Calls, Failed, Returned
from bridge.erlang.errors import (
    CertificateError,
    ConnectError,
    ErlangError,
    EtfError,
    NodeDown,
    ProtocolViolation,
    TlsExpected,
)
from bridge.erlang.etf_decode import DEFAULT_LIMITS, Limits
from bridge.erlang.guest import Request
from bridge.erlang.handshake import Agreed, Expects
from bridge.erlang.terms import Atom, Pid

if TYPE_CHECKING:
    from collections.abc import Container

    from bridge.erlang.calls import Call
    from bridge.erlang.handshake import Handshake
    from bridge.erlang.terms import Term

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


class Greeted(NamedTuple):
    """Calls may be made: the processes that run them have a group leader in the node."""


class Lost(NamedTuple):
    """The connection is of no more use: the node keeps silent, refuses us, or said what no node says."""

    error: ErlangError


Event = Agreed | Greeted | Returned | Failed | Request | Lost


class Channel:
    """A connection from the first frame of the handshake on."""

    def __init__(
        self,
        peer: str,
        handshake: Handshake,
        *,
        tls: bool,
        now: float,
        registered: Container[str] = (),
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """Prepare; the first frame is ready to be sent.

        Args:
            peer: the node's name.
            handshake: at its start.
            tls: whether the transport is TLS.
            now: the present time.
            registered: the names that take calls.
            limits: of the terms that the node sends.
        """
        self.agreed: Agreed | None = None
        self.unsent = 0
        """Bytes that `data_to_send` would give."""
        self.next_check = now + SILENCE_UNTIL_KNOWN
        self._peer = peer
        self._handshake = handshake
        self._tls = tls
        self._head = 4 if tls else 2
        self._registered = registered
        self._limits = limits
        self._out: list[bytes] = []
        self._partial = bytearray()
        self._needed = 0
        self._skipped = 0
        self._calls: Calls | None = None
        self._leader: Call | None = None
        self._ticktime: Call | None = None
        self._silence = SILENCE_UNTIL_KNOWN
        self._tick_every = SILENCE_UNTIL_KNOWN
        self._heard_at = self._sent_at = now
        self._send(handshake.start())

    # what is to be sent

    def data_to_send(self) -> bytes:
        """The bytes to write, once."""
        out, self._out, self.unsent = self._out, [], 0
        return out[0] if len(out) == 1 else b"".join(out)

    def send(self, frame: bytes) -> None:
        """Send the frame with which a registered name answers."""
        self._send(frame)

    def _send(self, frame: bytes) -> None:
        self._out.append(len(frame).to_bytes(self._head, "big") + frame)
        self.unsent += len(frame) + self._head

    # calls

    def start(self, module: str, function: str, args: list[Term]) -> Call:
        """Call a function in the node; what becomes of it is an event. Only after `Greeted`.

        Raises:
            EtfError: an argument cannot be a term.
        """
        assert self._calls
        return self._calls.start(module, function, args)

    def give_up(self, call: Call) -> None:
        """Kill the process that runs a call, now or as soon as it is known; nothing more is said of it."""
        if self._calls:
            self._calls.give_up(call)

    def give_up_all(self, why: str) -> list[Failed]:
        """Give up every call, because the connection is about to be closed; each that somebody waits for fails."""
        return self._calls.give_up_all(why) if self._calls else []

    @property
    def in_flight(self) -> int:
        """How many processes run in the node for us."""
        return self._calls.in_flight if self._calls else 0

    def fail_all(self, why: str) -> list[Failed]:
        """What becomes of the calls when the connection is lost."""
        return self._calls.fail_all(why) if self._calls else []

    # what is received

    def receive_data(self, data: bytes, now: float) -> list[Event]:
        """Take bytes as they come, in pieces of any size; nothing after `Lost`."""
        events: list[Event] = []
        try:
            self._receive(data, now, events)
        except ErlangError as error:
            events.append(Lost(error if isinstance(error, ConnectError) else ProtocolViolation(self._peer, error.what)))
        return events

    def _receive(self, data: bytes, now: float, events: list[Event]) -> None:
        self._heard_at = now
        if self._skipped:
            data = self._skip(data)
        if self._partial:
            # every byte of a long frame is copied twice, however many pieces it comes in
            self._partial += data
            if len(self._partial) < self._needed:
                return
            data = bytes(self._partial)
            self._partial = bytearray()
        pos, size = 0, len(data)
        while size - pos >= self._head:
            start = pos + self._head
            length = int.from_bytes(data[pos:start], "big")
            end = start + length
            if length > (FRAME_LIMIT if self.agreed else HANDSHAKE_FRAME_LIMIT):
                if not self._is_skipped(data, start, length, events):
                    break
                return
            if end > size:
                self._needed = end - pos
                break
            if self.agreed:
                self._message(data, start, end, events)
            else:
                self._shake(data[start:end], now, events)
            pos = end
        else:
            self._needed = self._head
        if pos < size:
            self._partial += memoryview(data)[pos:]

    def closed(self, reason: str, certificate: str | None) -> ConnectError:
        """What it means for the handshake that the connection was closed.

        Args:
            reason: the transport's word for it.
            certificate: what TLS said, where it ended the connection.
        """
        if certificate is not None:
            return CertificateError(self._peer, certificate or reason)
        if self._tls and self._handshake.expects is Expects.STATUS:
            return CertificateError(self._peer, "it closed right after the TLS handshake, so it may not trust ours")
        return self._handshake.closed()

    def _is_skipped(self, data: bytes, start: int, length: int, events: list[Event]) -> bool:
        """Refuse a frame that is too long; False while too little of it is there to see whose answer it is."""
        if not self.agreed:
            if data[start - self._head] in _TLS_RECORDS:
                raise TlsExpected(self._peer)
            raise ProtocolViolation(self._peer, f"a frame of {length} bytes is beyond the limit")
        if len(data) - start < _HEAD_BYTES:
            self._needed = self._head + _HEAD_BYTES
            return False
        assert self._calls
        if failed := self._calls.too_long(data[start : start + _HEAD_BYTES], length):
            events.append(failed)
        self._skipped = length - (len(data) - start)
        self._needed = self._head
        return True

    def _skip(self, data: bytes) -> bytes:
        rest = data[self._skipped :]
        self._skipped = max(0, self._skipped - len(data))
        return rest

    def _shake(self, frame: bytes, now: float, events: list[Event]) -> None:
        answer = self._handshake.receive(frame)
        if answer is not None:
            self._send(answer)
        if agreed := self._handshake.agreed:
            self.agreed = agreed
            self._head = 4
            self._calls = Calls(agreed, self._send, self._limits)
            # Code that prints would send us I/O requests and wait for the answers, if the group leader were ours.
            self._ticktime = self._calls.start("net_kernel", "get_net_ticktime", [])
            self._leader = self._calls.start("erlang", "whereis", [Atom("user")])
            self._sent_at = now
            events.append(agreed)

    def _message(self, data: bytes, start: int, end: int, events: list[Event]) -> None:
        if start == end:
            # Answering each tick with a tick holds the connection at every net_ticktime.
            self._send(control.TICK)
            return
        assert self._calls
        outcome = self._calls.recognize(data, start, end)
        if outcome is False:
            message = control.read(data, start, end, self._limits)
            outcome = self._calls.answer(message)
            if outcome is False and not isinstance(message.payload, EtfError):
                answers = guest.answer(message, self._registered)
                if isinstance(answers, Request):
                    events.append(answers)
                else:
                    for answer in answers:
                        self._send(answer)
        if outcome.__class__ is not bool:
            self._called(cast("Returned | Failed", outcome), events)

    def _called(self, outcome: Returned | Failed, events: list[Event]) -> None:
        call = outcome.call
        if call is self._leader:
            if isinstance(outcome, Returned) and isinstance(outcome.value, Pid):
                assert self._calls
                self._calls.lead(outcome.value)
            events.append(Greeted())
        elif call is self._ticktime:
            seconds = outcome.value if isinstance(outcome, Returned) else None
            if isinstance(seconds, tuple):  # {ongoing_change_to, Seconds}
                seconds = seconds[-1]
            if isinstance(seconds, int) and seconds > 0:
                self._silence = SILENCE_FACTOR * seconds
                self._tick_every = seconds / TICKS
                self.next_check = self._heard_at + self._tick_every
        else:
            events.append(outcome)

    # time

    def wrote(self, now: float) -> None:
        """Something was written, or the node took what was: that is our sign of life, and its own."""
        self._sent_at = now

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
            return [Lost(NodeDown(self._peer, f"nothing was heard for {silent:.0f} s"))]
        if self.agreed and now - self._sent_at >= self._tick_every:
            self._send(control.TICK)
        self.next_check = min(self._heard_at + self._silence, now + self._tick_every)
        return []
