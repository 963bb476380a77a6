"""The usual answers to calls, recognized by their bytes: the fast path beside `control.read`.

Nearly every answer is one of two messages with nothing but the numbers unknown. To decode the references and pids of
each would take half the time of a call.

    {SPAWN_REPLY, Ref, From, Flags, Pid}
    {PAYLOAD_MONITOR_P_EXIT, Pid, From, Ref}    payload {Ref, return, Value}
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final

from bridge.erlang.etf_encode import encode
from bridge.erlang.terms import Atom, Pid

if TYPE_CHECKING:
    from bridge.erlang.handshake import Agreed

NUMBERS: Final = 12
"""Bytes of the numbers of a reference of three words, and of those of a pid with its creation."""
_SPAWNED: Final = b"p\x83h\x05a\x1f"  # a tuple of five, SPAWN_REPLY first
_EXITED: Final = b"p\x83h\x04a\x1c"  # a tuple of four, PAYLOAD_MONITOR_P_EXIT first
_RESULT: Final = b"\x83h\x03"  # the payload of an exit, a tuple of three
_RETURN: Final = encode(Atom("return"))
_U32: Final = Struct(">I").pack


class Pattern:
    """The bytes that the answers of one connection have in common."""

    def __init__(self, agreed: Agreed) -> None:
        """Prepare for the names and creations that the handshake settled."""
        self.own_pid = Pid(Atom(agreed.own_name), 1, 0, agreed.own_creation)
        self.sender = encode(self.own_pid)
        self.reference = b"Z\0\3" + encode(self.own_pid.node) + _U32(agreed.own_creation)
        """What precedes the numbers of our references."""
        self._runner = b"X" + encode(Atom(agreed.peer_name))
        self._spawned = _SPAWNED + self.reference
        self._exited = _EXITED + self._runner
        self._middle = self.sender + self.reference
        self._result = _RESULT + self.reference

    def returned(self, data: bytes, start: int) -> tuple[bytes, int] | None:
        """The numbers of the reference of a call that returned, and where its value begins."""
        if not data.startswith(self._exited, start):
            return None
        pos = start + len(self._exited) + NUMBERS
        if not data.startswith(self._middle, pos):
            return None
        pos += len(self._middle)
        key = data[pos : pos + NUMBERS]
        pos += NUMBERS
        result = self._result + key + _RETURN
        return (key, pos + len(result)) if data.startswith(result, pos) else None

    def spawned(self, data: bytes, start: int, end: int) -> tuple[bytes, bytes] | None:
        """The numbers of the reference of a call whose process was started, and its pid as bytes."""
        if not data.startswith(self._spawned, start):
            return None
        pos = start + len(self._spawned)
        runner = end - len(self._runner) - NUMBERS
        return (data[pos : pos + NUMBERS], data[runner:end]) if data.startswith(self._runner, runner) else None
