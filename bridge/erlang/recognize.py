"""The usual answers to calls, recognized by their bytes: the fast path beside `control.read`.

Nearly every answer is one of two messages with nothing but the numbers unknown. To decode the references and pids of
each would take half the time of a call.

    {SPAWN_REPLY, Ref, From, Flags, Pid}
    {PAYLOAD_MONITOR_P_EXIT, Pid, From, Ref}    payload {Ref, return, Value}
"""

from __future__ import annotations

import re
from typing import Final

from bridge.erlang.etf_encode import encode
from bridge.erlang.terms import Atom

_SPAWNED: Final = b"p\x83h\x05a\x1f"  # a tuple of five, SPAWN_REPLY first
_EXITED: Final = b"p\x83h\x04a\x1c"  # a tuple of four, PAYLOAD_MONITOR_P_EXIT first
_RESULT: Final = b"\x83h\x03"  # the payload of an exit, a tuple of three
_RETURN: Final = encode(Atom("return"))
_NUMBERS: Final = b".{12}"
"""Those of a reference of three words, and those of a pid with its creation."""


def spawned(sender: bytes, reference: bytes, runner: bytes) -> re.Pattern[bytes]:
    """A whole answer that the process of a call was started; groups: the numbers of the reference, and the pid.

    Args:
        sender: our own pid.
        reference: what precedes the numbers of our references.
        runner: what precedes the numbers of the node's pids.
    """
    head, own, pid = map(re.escape, (_SPAWNED + reference, sender + b"a", runner))
    return re.compile(head + b"(" + _NUMBERS + b")" + own + b".(" + pid + _NUMBERS + b")", re.DOTALL)


def returned(sender: bytes, reference: bytes, runner: bytes) -> re.Pattern[bytes]:
    """An answer that a call has returned, up to its value; group: the numbers of the reference, which come twice."""
    head, own, result, kind = map(re.escape, (_EXITED + runner, sender + reference, _RESULT + reference, _RETURN))
    return re.compile(head + _NUMBERS + own + b"(" + _NUMBERS + b")" + result + rb"\1" + kind, re.DOTALL)
