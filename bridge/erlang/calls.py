"""The calls in flight over one connection: `erpc` requests as bytes, and answers matched to who waits for them.

    we    {SPAWN_REQUEST, Ref, From, Leader, {erpc, execute_call, 4}, [monitor]}    payload [Ref, M, F, A]
    node  {SPAWN_REPLY, Ref, From, Flags, Pid}
    node  {PAYLOAD_MONITOR_P_EXIT, Pid, From, Ref}                    payload {Ref, return, Value} and the like

The process that runs a call is known from its SPAWN_REPLY on; one that is given up before is killed as soon as it is
known. Answers that nobody waits for any more are dropped.

Source: erpc.erl, and "Protocol between Connected Nodes" of the Erlang Distribution Protocol chapter.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from bridge.erlang import control
from bridge.erlang.errors import NodeDown, RemoteError
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
_REQUEST: Final = b"p\x83h\x06a\x1d"  # a tuple of six, SPAWN_REQUEST first
_ARGUMENTS: Final = b"\x83l\0\0\0\4"  # the payload, a list of four
_NIL: Final = b"j"
_RUN: Final = encode((Atom("erpc"), Atom("execute_call"), 4)) + encode([Atom("monitor")])
_KILL: Final = Atom("kill")


class Call:
    """A call in flight: who waits, and the process that runs it, once known."""

    __slots__ = ("future", "given_up", "pid", "reference")

    def __init__(self, reference: Reference, future: asyncio.Future[Term]) -> None:
        self.reference = reference
        self.future = future
        self.pid: Pid | None = None
        self.given_up = False


class Calls:
    """The table of calls of one connection."""

    def __init__(self, agreed: Agreed, write: Callable[[bytes], None]) -> None:
        """Prepare an empty table.

        Args:
            agreed: what the handshake settled, for our name and creation.
            write: takes a frame to be sent.
        """
        self.own_pid = Pid(Atom(agreed.own_name), 1, 0, agreed.own_creation)
        self._peer = agreed.peer_name
        self._write = write
        self._calls: dict[tuple[int, ...], Call] = {}
        self._last = 0
        self._from = encode(self.own_pid)
        self._reference_head = b"Z\0\3" + encode(self.own_pid.node) + _U32(agreed.own_creation)

    def __len__(self) -> int:
        return len(self._calls)

    def start(
        self, future: asyncio.Future[Term], module: Atom, function: Atom, args: list[Term], leader: Pid | None
    ) -> Call:
        """Send a request; its answer goes to `future`.

        Args:
            future: who waits.
            module: the module.
            function: the function.
            args: the arguments.
            leader: the group leader of the process that runs the call; ours if None.

        Raises:
            EtfError: an argument is no term.
        """
        arguments = encode(module) + encode(function) + encode(args)
        last = self._last = self._last % 0xFFFF_FFFF + 1
        ids = (last & 0x3FFFF, last >> 18, 0)  # 18 bits in the first word, as nodes make them
        raw = self._reference_head + _WORDS(*ids)
        lead = encode(leader) if leader else self._from
        self._write(_REQUEST + raw + self._from + lead + _RUN + _ARGUMENTS + raw + arguments + _NIL)
        call = self._calls[ids] = Call(Reference(self.own_pid.node, ids, self.own_pid.creation), future)
        return call

    def give_up(self, call: Call) -> None:
        """Kill the process that runs a call, now or as soon as it is known."""
        if call.pid:
            self._calls.pop(call.reference.ids, None)
            self._kill(call.pid)
        else:
            call.given_up = True

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

    def _spawned(self, reference: Reference, result: Term) -> None:
        call = self._calls.get(reference.ids)
        if call is None or call.reference != reference:
            return
        if not isinstance(result, Pid):
            del self._calls[reference.ids]
            if not call.future.done():
                call.future.set_exception(RemoteError(self._peer, "error", result))
        elif call.given_up:
            del self._calls[reference.ids]
            self._kill(result)
        else:
            call.pid = result

    def _finished(self, reference: Reference, reason: Term) -> None:
        call = self._calls.get(reference.ids)
        if call is None or call.reference != reference:
            return
        del self._calls[reference.ids]
        if call.future.done():
            return
        match reason:
            case (Reference() as mine, "return", value) if mine == reference:
                call.future.set_result(value)
            case (Reference() as mine, Atom() as kind, value, *stacktrace) if mine == reference and len(reason) < 5:
                call.future.set_exception(RemoteError(self._peer, str(kind), value, *stacktrace))
            case _:
                call.future.set_exception(RemoteError(self._peer, "exit", reason))

    def _kill(self, pid: Pid) -> None:
        self._write(control.write(control.EXIT2, self.own_pid, pid, _KILL))
