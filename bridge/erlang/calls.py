"""The calls in flight over one connection: `erpc` requests as bytes, and answers matched to their calls. No I/O.

    we    {SPAWN_REQUEST, Ref, From, Leader, {erpc, execute_call, 4}, [monitor]}    payload [Ref, M, F, A]
    node  {SPAWN_REPLY, Ref, From, Flags, Pid}
    node  {PAYLOAD_MONITOR_P_EXIT, Pid, From, Ref}                    payload {Ref, return, Value} and the like

The process that runs a call is known from its SPAWN_REPLY on; one that is given up before is killed as soon as it is
known. A call stays in the table until its process has ended there.

Source: erpc.erl, and "Protocol between Connected Nodes" of the Erlang Distribution Protocol chapter.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang import control
from bridge.erlang.errors import ErlangError, EtfError, NodeDown, RemoteError
from bridge.erlang.etf_decode import DEFAULT_LIMITS, Limits, decode
from bridge.erlang.etf_encode import encode
from bridge.erlang.recognize import Pattern
from bridge.erlang.terms import Atom, Pid, Reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.erlang.control import Message
    from bridge.erlang.handshake import Agreed
    from bridge.erlang.terms import Term

_WORDS: Final = Struct(">III").pack
_REQUEST: Final = b"p\x83h\x06a\x1d"  # a tuple of six, SPAWN_REQUEST first
_ARGUMENTS: Final = b"\x83l\0\0\0\4"  # the payload of a request, a list of four
_NIL: Final = b"j"
_RUN: Final = encode((Atom("erpc"), Atom("execute_call"), 4)) + encode([Atom("monitor")])
_KILL: Final = b"p\x83h\x04a\x08"  # a tuple of four, EXIT2 first
_KILLED: Final = encode(Atom("kill"))


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
    """A call has failed."""

    call: Call
    error: ErlangError


@lru_cache(maxsize=1024)
def _function(module: str, function: str) -> bytes:
    return encode(Atom(module)) + encode(Atom(function))


class Calls:
    """The table of calls of one connection, by the numbers of their references."""

    def __init__(self, agreed: Agreed, send: Callable[[bytes], None], limits: Limits = DEFAULT_LIMITS) -> None:
        """Prepare an empty table.

        Args:
            agreed: what the handshake settled, for the names and our creation.
            send: takes a frame to be sent.
            limits: of the results.
        """
        self._pattern = Pattern(agreed)
        self._peer = agreed.peer_name
        self._send = send
        self._limits = limits
        self._calls: dict[bytes, Call] = {}
        self._last = 0
        self._leader = self._pattern.sender

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
        reference = self._pattern.reference + key
        head = _REQUEST + reference + self._pattern.sender + self._leader + _RUN + _ARGUMENTS
        self._send(head + reference + arguments + _NIL)
        call = self._calls[key] = Call(key)
        return call

    def give_up(self, call: Call) -> None:
        """Kill the process that runs a call, now or as soon as it is known."""
        if not call.given_up and call.key in self._calls:
            call.given_up = True
            if call.pid:
                self._kill(call.pid)

    def give_up_all(self, why: str) -> list[Failed]:
        """Give up every call; each that somebody waited for fails."""
        failed = [Failed(call, NodeDown(self._peer, why)) for call in self._calls.values() if not call.given_up]
        for call in list(self._calls.values()):
            self.give_up(call)
        return failed

    def recognize(self, data: bytes, start: int, end: int) -> Returned | Failed | bool:
        """Take the frame in `data` from `start` to `end` if its bytes are those of a usual answer.

        Returns:
            The event that it makes, or whether it was one that makes none. A result that does not make a term, or is
            beyond the limits, fails its call alone.
        """
        if returned := self._pattern.returned(data, start):
            key, pos = returned
            call = self._calls.pop(key, None)
            if call is None or call.given_up:
                return True
            try:
                value, pos = decode(data, pos, self._limits, end)
            except EtfError as error:
                return Failed(call, error)
            return Returned(call, value) if pos == end else Failed(call, EtfError("there are bytes after a result"))
        if spawned := self._pattern.spawned(data, start, end):
            key, pid = spawned
            if call := self._calls.get(key):
                self._runs(call, pid)
                return True
        return False

    def too_long(self, head: bytes, length: int) -> Failed | None:
        """Fail the call whose answer begins with these bytes and is longer than any may be."""
        returned = self._pattern.returned(head, 0)
        call = self._calls.pop(returned[0], None) if returned else None
        if call is None or call.given_up:
            return None
        return Failed(call, EtfError(f"node {self._peer} gave a result of {length:,} bytes, which is beyond the limit"))

    def answer(self, message: Message) -> Returned | Failed | bool:
        """Take a message of the peer, if it belongs to a call: the event that it makes, or whether it was one."""
        match message.control:
            case (control.SPAWN_REPLY, Reference() as reference, _, _, result):
                return self._spawned(reference, result)
            case (control.PAYLOAD_MONITOR_P_EXIT, _, _, Reference() as reference):
                return self._finished(reference, message.payload)
            case (control.MONITOR_P_EXIT, _, _, Reference() as reference, reason):
                return self._finished(reference, reason)
            case _:
                return False

    def fail_all(self, why: str) -> list[Failed]:
        """The connection is lost: so is every call that somebody waits for."""
        calls, self._calls = self._calls, {}
        return [Failed(call, NodeDown(self._peer, why)) for call in calls.values() if not call.given_up]

    def _of(self, reference: Reference) -> Call | None:
        own = self._pattern.own_pid
        ours = reference.node == own.node and reference.creation == own.creation
        return self._calls.get(_WORDS(*reference.ids)) if ours and len(reference.ids) == 3 else None

    def _spawned(self, reference: Reference, result: Term) -> Failed | bool:
        call = self._of(reference)
        if call is None:
            return True
        if isinstance(result, Pid):
            self._runs(call, encode(result))
            return True
        del self._calls[call.key]
        return True if call.given_up else Failed(call, RemoteError(self._peer, "error", result))

    def _runs(self, call: Call, pid: bytes) -> None:
        call.pid = pid
        if call.given_up:
            self._kill(pid)

    def _finished(self, reference: Reference, reason: Term) -> Returned | Failed | bool:
        call = self._of(reference)
        if call is None:
            return True
        del self._calls[call.key]
        if call.given_up:
            return True
        if isinstance(reason, EtfError):
            return Failed(call, reason)
        match reason:
            case (Reference() as mine, "return", value) if mine == reference:
                return Returned(call, value)
            case (Reference() as mine, Atom() as kind, value, *stacktrace) if mine == reference and len(reason) < 5:
                return Failed(call, RemoteError(self._peer, str(kind), value, *stacktrace))
            case _:
                return Failed(call, RemoteError(self._peer, "exit", reason))

    def _kill(self, pid: bytes) -> None:
        self._send(_KILL + self._pattern.sender + pid + _KILLED)
