"""Distribution messages as bytes and back: `'p' 131 control [131 message]`, without a header of atoms.

Source: "Protocol between Connected Nodes" of the Erlang Distribution Protocol chapter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang.errors import EtfError
from bridge.erlang.etf_decode import decode
from bridge.erlang.etf_encode import encode

if TYPE_CHECKING:
    from bridge.erlang.terms import Term

LINK: Final = 1
SEND: Final = 2
EXIT: Final = 3
REG_SEND: Final = 6
EXIT2: Final = 8
MONITOR_P: Final = 19
DEMONITOR_P: Final = 20
MONITOR_P_EXIT: Final = 21
SEND_SENDER: Final = 22
PAYLOAD_MONITOR_P_EXIT: Final = 28
SPAWN_REQUEST: Final = 29
SPAWN_REPLY: Final = 31
ALIAS_SEND: Final = 33
UNLINK_ID: Final = 35
UNLINK_ID_ACK: Final = 36

TICK: Final = b""


_TRACED: Final = {12: SEND, 16: REG_SEND, 30: SPAWN_REQUEST, 32: SPAWN_REPLY, 34: ALIAS_SEND}
"""Operations as they come from a process that is traced by `seq_trace`: the same with a token at the end."""


class Message(NamedTuple):
    """A control tuple, its operation first, and the message that some operations carry."""

    control: tuple[Term, ...]
    payload: Term | EtfError = None
    """An error where it cannot be read; it costs what the message is about, and nothing else."""


def read(data: bytes, pos: int = 0, end: int | None = None) -> Message:
    """Take a frame (not a tick) apart, which is `data` from `pos` to `end`.

    Raises:
        EtfError: not a message of the agreed form.
    """
    end = len(data) if end is None else end
    if data[pos : pos + 2] != b"p\x83":
        raise EtfError("a distribution frame that is not a pass-through message")
    control, pos = decode(data, pos + 2, end=end)
    if control.__class__ is not tuple or not control or control[0].__class__ is not int:
        raise EtfError("a control message that is not a tuple with an operation")
    if traced := _TRACED.get(control[0]):
        control = (traced, *control[1:-1])
    if pos == end:
        return Message(control)
    try:
        if data[pos] != 131:
            raise EtfError("a payload without the version number of a term")
        payload, pos = decode(data, pos + 1, end=end)
        if pos != end:
            raise EtfError("there are bytes after a payload")
    except EtfError as error:
        return Message(control, error)
    return Message(control, payload)


def write(*control: Term) -> bytes:
    """A frame without payload."""
    return b"p\x83" + encode(control)


def write_with(payload: Term, *control: Term) -> bytes:
    """A frame with a payload."""
    return b"p\x83" + encode(control) + b"\x83" + encode(payload)
