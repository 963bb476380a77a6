"""The calls in flight over one connection: `erpc` requests as bytes, and answers matched to who waits for them.

    we    {SPAWN_REQUEST, Ref, From, Leader, {erpc, execute_call, 4}, [monitor]}    payload [Ref, M, F, A]
    node  {SPAWN_REPLY, Ref, From, Flags, Pid}
    node  {PAYLOAD_MONITOR_P_EXIT, Pid, From, Ref}                    payload {Ref, return, Value} and the like

The process that runs a call is known from its SPAWN_REPLY on; one that is given up before is killed as soon as it is
known. Answers that nobody waits for any more are dropped.

Nearly every answer is one of the two above with nothing but the numbers unknown, so they are recognized by their
bytes: to decode the references and pids of each would take half the time of a call. All others are decoded.

Source: erpc.erl, and "Protocol between Connected Nodes" of the Erlang Distribution Protocol chapter.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Final

from bridge.erlang import control
from bridge.erlang.errors import EtfError, NodeDown, RemoteError
from bridge.erlang.etf_decode import DEFAULT_LIMITS, Limits, decode
from bridge.erlang.etf_encode import encode
from bridge.erlang.terms import Atom, Pid, Reference

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from bridge.erlang.control import Message
    from bridge.erlang.handshake import Agreed
    from bridge.erlang.terms import Term

_U32: Final = Struct(">I").pack
_WORDS: Final = Struct(">III").pack
_NUMBERS: Final = 12
"""Bytes of the numbers of a reference of three words, and of those of a pid with its creation."""
_REQUEST: Final = b"p\x83h\x06a\x1d"  # a tuple of six, SPAWN_REQUEST first
_SPAWNED: Final = b"p\x83h\x05a\x1f"  # a tuple of five, SPAWN_REPLY first
_EXITED: Final = b"p\x83h\x04a\x1c"  # a tuple of four, PAYLOAD_MONITOR_P_EXIT first
_ARGUMENTS: Final = b"\x83l\0\0\0\4"  # the payload of a request, a list of four
_RESULT: Final = b"\x83h\x03"  # the payload of an exit, a tuple of three
_RETURN: Final = encode(Atom("return"))
_NIL: Final = b"j"
_RUN: Final = encode((Atom("erpc"), Atom("execute_call"), 4)) + encode([Atom("monitor")])
_KILL: Final = b"p\x83h\x04a\x08"  # a tuple of four, EXIT2 first
_KILLED: Final = encode(Atom("kill"))


class Call:
    """A call in flight: who waits, and the process that runs it, as bytes, once known."""

    __slots__ = ("future", "given_up", "key", "pid")

    def __init__(self, key: bytes, future: asyncio.Future[Term]) -> None:
        self.key = key
        self.future = future
        self.pid: bytes | None = None
        self.given_up = False


@lru_cache(maxsize=1024)
def _function(module: str, function: str) -> bytes:
    return encode(Atom(module)) + encode(Atom(function))


class Calls:
    """The table of calls of one connection, by the numbers of their references."""

    def __init__(self, agreed: Agreed, write: Callable[[bytes], None], limits: Limits = DEFAULT_LIMITS) -> None:
        """Prepare an empty table.

        Args:
            agreed: what the handshake settled, for the names and our creation.
            write: takes a frame to be sent.
            limits: of the results.
        """
        self.own_pid = Pid(Atom(agreed.own_name), 1, 0, agreed.own_creation)
        self._peer = agreed.peer_name
        self._write = write
        self._limits = limits
        self._calls: dict[bytes, Call] = {}
        self._last = 0
        self._from = self._leader = encode(self.own_pid)
        self._reference = b"Z\0\3" + encode(self.own_pid.node) + _U32(agreed.own_creation)
        self._spawned_head = _SPAWNED + self._reference
        self._runner = b"X" + encode(Atom(agreed.peer_name))
        self._exited_head = _EXITED + self._runner
        self._exited_middle = self._from + self._reference
        self._result_head = _RESULT + self._reference

    @property
    def in_flight(self) -> int:
        """How many answers are due."""
        return len(self._calls)

    def lead(self, leader: Pid) -> None:
        """Make a process the group leader of those that run the calls from now on; at first it is ours."""
        self._leader = encode(leader)

    def start(self, future: asyncio.Future[Term], module: str, function: str, args: list[Term]) -> Call:
        """Send a request; its answer goes to `future`.

        Args:
            future: who waits.
            module: the module.
            function: the function.
            args: the arguments.

        Raises:
            EtfError: an argument is no term.
        """
        arguments = _function(module, function) + encode(args)
        last = self._last = self._last % 0xFFFF_FFFF + 1
        key = _WORDS(last & 0x3FFFF, last >> 18, 0)  # 18 bits in the first word, as nodes make them
        reference = self._reference + key
        self._write(_REQUEST + reference + self._from + self._leader + _RUN + _ARGUMENTS + reference + arguments + _NIL)
        call = self._calls[key] = Call(key, future)
        return call

    def give_up(self, call: Call) -> None:
        """Kill the process that runs a call, now or as soon as it is known."""
        if call.pid:
            if self._calls.pop(call.key, None):
                self._kill(call.pid)
        else:
            call.given_up = True

    def recognize(self, data: bytes, start: int, end: int) -> bool:
        """Take the frame in `data` from `start` to `end` if its bytes are those of a usual answer; whether they are.

        Raises:
            EtfError: the result is no term, or beyond the limits.
        """
        if data.startswith(self._exited_head, start):
            pos = start + len(self._exited_head) + _NUMBERS
            if not data.startswith(self._exited_middle, pos):
                return False
            pos += len(self._exited_middle)
            key = data[pos : pos + _NUMBERS]
            pos += _NUMBERS
            result = self._result_head + key + _RETURN
            call = self._calls.get(key)
            if call is None or not data.startswith(result, pos):
                return False
            value, pos = decode(data, pos + len(result), self._limits, end)
            if pos != end:
                raise EtfError("bytes after a result")
            del self._calls[key]
            if not call.future.done():
                call.future.set_result(value)
            return True
        if data.startswith(self._spawned_head, start):
            pos = start + len(self._spawned_head)
            call = self._calls.get(data[pos : pos + _NUMBERS])
            pos = end - len(self._runner) - _NUMBERS
            if call and data.startswith(self._runner, pos):
                self._runs(call, data[pos:end])
                return True
        return False

    def answer(self, message: Message) -> bool:
        """Take a message of the peer, if it belongs to a call; whether it does."""
        match message.control:
            case (control.SPAWN_REPLY, Reference() as reference, _, _, result):
                self._spawned(reference, result)
            case (control.PAYLOAD_MONITOR_P_EXIT, _, _, Reference() as reference):
                self._finished(reference, message.payload)
            case (control.MONITOR_P_EXIT, _, _, Reference() as reference, reason):
                self._finished(reference, reason)
            case _:
                return False
        return True

    def fail(self, why: str) -> None:
        """The connection is lost: so is every call."""
        calls, self._calls = self._calls, {}
        for call in calls.values():
            if not call.future.done():
                call.future.set_exception(NodeDown(self._peer, why))

    def _find(self, reference: Reference) -> Call | None:
        ours = reference.node == self.own_pid.node and reference.creation == self.own_pid.creation
        return self._calls.get(_WORDS(*reference.ids)) if ours and len(reference.ids) == 3 else None

    def _spawned(self, reference: Reference, result: Term) -> None:
        call = self._find(reference)
        if call is None:
            return
        if isinstance(result, Pid):
            self._runs(call, encode(result))
            return
        del self._calls[call.key]
        if not call.future.done():
            call.future.set_exception(RemoteError(self._peer, "error", result))

    def _runs(self, call: Call, pid: bytes) -> None:
        if call.given_up:
            del self._calls[call.key]
            self._kill(pid)
        else:
            call.pid = pid

    def _finished(self, reference: Reference, reason: Term) -> None:
        call = self._find(reference)
        if call is None:
            return
        del self._calls[call.key]
        if call.future.done():
            return
        match reason:
            case (Reference() as mine, "return", value) if mine == reference:
                call.future.set_result(value)
            case (Reference() as mine, Atom() as kind, value, *stacktrace) if mine == reference and len(reason) < 5:
                call.future.set_exception(RemoteError(self._peer, str(kind), value, *stacktrace))
            case _:
                call.future.set_exception(RemoteError(self._peer, "exit", reason))

    def _kill(self, pid: bytes) -> None:
        self._write(_KILL + self._from + pid + _KILLED)
