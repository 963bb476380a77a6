"""What a hidden node owes its hosts: an answer to everything that would otherwise block or wait there.

Nothing is executed for a peer. `net_kernel` answers `net_adm:ping`, names that the program registered take
`gen_server:call`, everything else gets the answer that says "there is no such process".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang import control
from bridge.erlang.terms import Atom, ImproperList, Pid, Reference

if TYPE_CHECKING:
    from collections.abc import Container

    from bridge.erlang.control import Message
    from bridge.erlang.terms import Term

NET_KERNEL: Final = Atom("net_kernel")
_NOPROC: Final = Atom("noproc")
_NOTSUP: Final = Atom("notsup")
_GEN_CALL: Final = Atom("$gen_call")
_IS_AUTH: Final = Atom("is_auth")
_IO_REQUEST: Final = Atom("io_request")
_IO_REPLY: Final = Atom("io_reply")
_ERROR: Final = Atom("error")


class Request(NamedTuple):
    """A `gen_server:call` for a registered name: who asks, the tag that the reply carries, and the request."""

    name: str
    caller: Pid
    tag: Term
    request: Term


def answer(message: Message, registered: Container[str]) -> list[bytes] | Request:
    """The frames that answer a peer's message, or the request that a registered name has to answer.

    Args:
        message: what the peer sent; operations that need no answer get none.
        registered: the names that take calls, besides net_kernel.
    """
    match message.control:
        case (control.MONITOR_P, _, Atom() as target, Reference()) if target == NET_KERNEL or target in registered:
            return []
        case (control.MONITOR_P, Pid() as watcher, target, Reference() as reference):
            return [control.write(control.MONITOR_P_EXIT, target, watcher, reference, _NOPROC)]
        case (control.LINK, Pid() as linker, target):
            return [control.write(control.EXIT, target, linker, _NOPROC)]
        case (control.SPAWN_REQUEST, Reference() as reference, Pid() as parent, *_):
            return [control.write(control.SPAWN_REPLY, reference, parent, 0, _NOTSUP)]
        case (control.UNLINK_ID, number, linker, target):
            return [control.write(control.UNLINK_ID_ACK, number, target, linker)]
        case (control.REG_SEND, _, _, Atom() as name):
            return _sent(str(name), message.payload, registered)
        case (control.SEND | control.SEND_SENDER, _, Pid()) if isinstance(message.payload, tuple):
            match message.payload:
                case (Atom() as request, Pid() as printer, tag, _) if request == _IO_REQUEST:
                    # code that prints where no group leader was to be had
                    refusal = (_IO_REPLY, tag, (_ERROR, _NOTSUP))
                    return [control.write_with(refusal, control.SEND, Atom(""), printer)]
    return []


def _sent(name: str, payload: Term, registered: Container[str]) -> list[bytes] | Request:
    match payload:
        case (Atom() as call, (Pid() as caller, (Reference() | ImproperList() | (Reference(), _)) as tag), request) if (
            call == _GEN_CALL
        ):
            if name in registered:
                return Request(name, caller, tag, request)
            if name == NET_KERNEL:
                if isinstance(request, tuple) and request[:1] == (_IS_AUTH,):
                    return [reply(caller, tag, Atom("yes"))]
                return [failed(Request(name, caller, tag, request), _NOPROC)]
    return []


def failed(request: Request, reason: Term) -> bytes:
    """What a caller gets whose request failed: the exit that it monitors the name for, where its tag names that."""
    tag = request.tag
    monitor = tag.tail if isinstance(tag, ImproperList) else tag
    if not isinstance(monitor, Reference):
        return reply(request.caller, tag, (_ERROR, reason))
    return control.write(control.MONITOR_P_EXIT, Atom(request.name), request.caller, monitor, reason)


def reply(caller: Pid, tag: Term, result: Term) -> bytes:
    """The answer to a `gen_server:call`: to the caller's alias where its tag has one, else to the caller.

    A tag is a reference, `[alias | Reference]`, or that of a `gen_server:multi_call`: `{Reference, Node}`, or
    `[[alias | Reference] | Monitor]` in later releases. Source: gen.erl, gen_server.erl.
    """
    if isinstance(tag, ImproperList):
        inner = tag.items[0] if isinstance(tag.items[0], ImproperList) else tag
        if isinstance(inner.tail, Reference):
            return control.write_with((tag, result), control.ALIAS_SEND, caller, inner.tail)
    return control.write_with((tag, result), control.SEND, Atom(""), caller)
