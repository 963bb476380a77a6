"""The calls in flight over one connection: `erpc` requests as bytes, and answers matched to their calls. No I/O.

    we    {SPAWN_REQUEST, Ref, From, Leader, {erpc, execute_call, 4}, [monitor]}    payload [Ref, M, F, A]
    node  {SPAWN_REPLY, Ref, From, Flags, Pid}
    node  {PAYLOAD_MONITOR_P_EXIT, Pid, From, Ref}                    payload {Ref, return, Value} and the like

The process that runs a call is known from its SPAWN_REPLY on; one that is given up before is killed as soon as it is
known. A call stays in the table until its process has ended there.

Nearly every answer is one of the first two messages with nothing but the numbers unknown, so they are recognized by
their bytes: to decode the references and pids of each would take half the time of a call.

Source: erpc.erl, and "Protocol between Connected Nodes" of the Erlang Distribution Protocol chapter.
"""

from __future__ import annotations

import re
from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang import control
from bridge.erlang.errors import ErlangError, EtfError, NodeDown, RemoteError
from bridge.erlang.etf_decode import decode
from bridge.erlang.etf_encode import encode
from bridge.erlang.terms import Atom, Pid, Reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.erlang.channel import Event
    from bridge.erlang.control import Message
    from bridge.erlang.handshake import Agreed
    from bridge.erlang.terms import Term

_WORDS: Final = Struct(">III").pack
_U32: Final = Struct(">I").pack
_REQUEST: Final = b"p\x83h\x06a\x1d"  # a tuple of six, SPAWN_REQUEST first
_ARGUMENTS: Final = b"\x83l\0\0\0\4"  # the payload of a request, a list of four
_NIL: Final = b"j"
_RUN: Final = encode((Atom("erpc"), Atom("execute_call"), 4)) + encode([Atom("monitor")])
_KILL: Final = b"p\x83h\x04a\x08"  # a tuple of four, EXIT2 first
_KILLED: Final = encode(Atom("kill"))
_SPAWNED: Final = b"p\x83h\x05a\x1f"  # a tuple of five, SPAWN_REPLY first
_EXITED: Final = b"p\x83h\x04a\x1c"  # a tuple of four, PAYLOAD_MONITOR_P_EXIT first
_RESULT: Final = b"\x83h\x03"  # the payload of an exit, a tuple of three
_RETURN: Final = encode(Atom("return"))
_NUMBERS: Final = b".{12}"
"""Those of a reference of three words, and those of a pid with its creation."""


class Call:
    """A call in flight, and the process that runs it, as bytes, once known."""

    __slots__ = ("given_up", "key", "pid", "waiter")

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.pid: bytes | None = None
        self.given_up = False
        self.waiter: object = None
        """Whoever waits for the result; the channel does not look at it."""


class Returned(NamedTuple):
    """A call has its result."""

    call: Call
    value: Term


class Failed(NamedTuple):
    """A call has failed, or its process has ended after it was given up."""

    call: Call
    error: ErlangError


@lru_cache(maxsize=1024)
def _function(module: str, function: str) -> bytes:
    return encode(Atom(module)) + encode(Atom(function))


class Calls:
    """The table of calls of one connection, by the numbers of their references."""

    def __init__(self, agreed: Agreed, send: Callable[[bytes], None]) -> None:
        """Prepare an empty table.

        Args:
            agreed: what the handshake settled, for the names and creations.
            send: takes a frame to be sent.
        """
        self._own = Pid(Atom(agreed.own_name), 1, 0, agreed.own_creation)
        self._peer = agreed.peer_name
        self._send = send
        self._calls: dict[bytes, Call] = {}
        self._last = 0
        self._sender = self._leader = encode(self._own)
        self._reference = b"Z\0\3" + encode(self._own.node) + _U32(agreed.own_creation)
        runner = b"X" + encode(Atom(agreed.peer_name))
        # Groups: the numbers of the reference, and the pid.
        head, ours, pid = map(re.escape, (_SPAWNED + self._reference, self._sender + b"a", runner))
        spawned = head + b"(" + _NUMBERS + b")" + ours + b".(" + pid + _NUMBERS + b")"
        self._spawned = re.compile(spawned, re.DOTALL).fullmatch
        # Up to the value; group: the numbers of the reference, which come twice.
        exited, result = _EXITED + runner, _RESULT + self._reference
        head, ours, result, kind = map(re.escape, (exited, self._sender + self._reference, result, _RETURN))
        returned = head + _NUMBERS + ours + b"(" + _NUMBERS + b")" + result + rb"\1" + kind
        self._returned = re.compile(returned, re.DOTALL).match

    @property
    def in_flight(self) -> int:
        """How many processes run there for us."""
        return len(self._calls)

    def lead(self, leader: Pid) -> None:
        """Make a process the group leader of those that run the calls from now on; at first it is ours."""
        self._leader = encode(leader)

    def start(self, module: str, function: str, args: list[Term]) -> Call:
        """Send a request; its answer comes as an event that has the call.

        Raises:
            EtfError: an argument cannot be a term.
        """
        arguments = _function(module, function) + encode(args)
        last = self._last = self._last % 0xFFFF_FFFF + 1
        key = _WORDS(last & 0x3FFFF, last >> 18, 0)  # 18 bits in the first word, as nodes make them
        reference = self._reference + key
        head = _REQUEST + reference + self._sender + self._leader + _RUN + _ARGUMENTS
        self._send(head + reference + arguments + _NIL)
        call = self._calls[key] = Call(key)
        return call

    def give_up(self, call: Call) -> None:
        """Kill the process that runs a call, now or as soon as it is known."""
        if not call.given_up and call.key in self._calls:
            call.given_up = True
            if call.pid:
                self._kill(call.pid)

    def fail_all(self, why: str) -> list[Failed]:
        """What becomes of the calls when the connection is lost or about to be closed."""
        return [Failed(call, NodeDown(self._peer, why)) for call in self._calls.values()]

    def receive(self, data: bytes, start: int, end: int, events: list[Event]) -> Message | None:
        """Take the frame in `data` from `start` to `end`, and append what becomes of its call.

        Returns:
            The message that the frame is, where it is about no call.

        Raises:
            EtfError: not a message. A result that does not make a term, or is beyond the limits, fails its call alone.
        """
        if recognized := self._returned(data, start, end):
            if call := self._calls.pop(recognized[1], None):
                events.append(self._result(call, data, recognized.end(), end))
            return None
        if (recognized := self._spawned(data, start, end)) and (call := self._calls.get(recognized[1])):
            self._runs(call, recognized[2])
            return None
        message = control.read(data, start, end)
        match message.control:
            case (control.SPAWN_REPLY, Reference() as reference, _, _, Pid() as runner):
                if call := self._of(reference):
                    self._runs(call, encode(runner))
            case (control.SPAWN_REPLY, Reference() as reference, _, _, reason):
                self._ended(reference, (reference, Atom("error"), reason), events)
            case (control.PAYLOAD_MONITOR_P_EXIT, _, _, Reference() as reference):
                self._ended(reference, message.payload, events)
            case (control.MONITOR_P_EXIT, _, _, Reference() as reference, reason):
                self._ended(reference, reason, events)
            case _:
                return message
        return None

    def too_long(self, head: bytes, length: int, events: list[Event]) -> None:
        """Fail the call whose answer begins with these bytes and is longer than any may be."""
        recognized = self._returned(head)
        if recognized and (call := self._calls.pop(recognized[1], None)):
            what = f"node {self._peer} gave a result of {length:,} bytes, which is beyond the limit"
            events.append(Failed(call, EtfError(what)))

    def _result(self, call: Call, data: bytes, pos: int, end: int) -> Returned | Failed:
        try:
            value, pos = decode(data, pos, end=end)
        except EtfError as error:
            return Failed(call, error)
        return Returned(call, value) if pos == end else Failed(call, EtfError("there are bytes after a result"))

    def _of(self, reference: Reference) -> Call | None:
        ours = reference.node == self._own.node and reference.creation == self._own.creation
        return self._calls.get(_WORDS(*reference.ids)) if ours and len(reference.ids) == 3 else None

    def _runs(self, call: Call, runner: bytes) -> None:
        call.pid = runner
        if call.given_up:
            self._kill(runner)

    def _ended(self, reference: Reference, reason: Term, events: list[Event]) -> None:
        call = self._of(reference)
        if call is None:
            return
        del self._calls[call.key]
        match reason:
            case EtfError():
                events.append(Failed(call, reason))
            case (Reference() as mine, "return", value) if mine == reference:
                events.append(Returned(call, value))
            case (Reference() as mine, Atom() as kind, value, *stacktrace) if mine == reference and len(reason) < 5:
                events.append(Failed(call, RemoteError(self._peer, str(kind), value, *stacktrace)))
            case _:
                events.append(Failed(call, RemoteError(self._peer, "exit", reason)))

    def _kill(self, runner: bytes) -> None:
        self._send(_KILL + self._sender + runner + _KILLED)
