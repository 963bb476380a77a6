"""Terms to bytes: one loop with its own stack, so that nesting is bounded by memory only.

Source: External Term Format, ERTS User's Guide. Only tags that every node from OTP 24 on understands are written.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Final

from bridge.erlang.errors import EtfError
from bridge.erlang.terms import Atom, BitString, Export, Fun, ImproperList, Map, Pid, Port, Reference

if TYPE_CHECKING:
    from bridge.erlang.terms import Term

_U8_U32: Final = Struct(">BI").pack
_U8_I32: Final = Struct(">Bi").pack
_U8_U16: Final = Struct(">BH").pack
_U8_F64: Final = Struct(">Bd").pack
_U32: Final = Struct(">I").pack
_STRING_MAX: Final = 65_535
MAPS_IN_KEYS: Final = 16
"""Maps inside each other inside the key of a map: to compare such keys takes time for each of these levels."""

_SMALL: Final = [b"a%c" % value for value in range(256)]
_SMALL_TUPLE: Final = [b"h%c" % size for size in range(256)]


class _Raw(bytes):
    """Bytes of the format itself, waiting on the stack for their turn."""

    __slots__ = ()


_NIL: Final = _Raw(b"j")


def term_to_binary(term: Term) -> bytes:
    """Encode a term as `term_to_binary/1` does, with the leading 131.

    Raises:
        EtfError: a value that no term can hold (str, None, NaN), named by its type.
    """
    return b"".join(_encode(term, None, [b"\x83"]))


def encode(term: Term) -> bytes:
    """Encode a term without the leading 131, as inside a distribution message."""
    return b"".join(_encode(term, None, []))


def canonical(term: Term, maps: int = MAPS_IN_KEYS) -> bytes:
    """An encoding in which terms are equal exactly when they are `=:=`: maps have their pairs in order.

    Raises:
        EtfError: no term, or more than `maps` maps inside each other.
    """
    return b"".join(_encode(term, maps, []))


def _encode(term: Term, maps: int | None, out: list[bytes]) -> list[bytes]:  # noqa: C901, PLR0912, PLR0915
    """The pieces of an encoding, to be joined: a long binary is copied once that way."""
    write = out.append
    stack = [term]
    pop = stack.pop
    while stack:
        value = pop()
        of = value.__class__
        if of is Atom:
            write(_atom(value))
        elif of is int:
            if 0 <= value <= 255:
                write(_SMALL[value])
            elif -0x8000_0000 <= value <= 0x7FFF_FFFF:
                write(_U8_I32(98, value))
            else:
                write(_big(value))
        elif of is bytes:
            write(_U8_U32(109, len(value)))
            write(value)
        elif of is _Raw:
            write(value)
        elif of is tuple:
            write(_SMALL_TUPLE[len(value)] if len(value) <= 255 else _U8_U32(105, len(value)))
            stack.extend(value[::-1])
        elif of is list:
            if not value:
                write(b"j")
            elif (text := _as_string(value)) is not None:
                write(_U8_U16(107, len(text)))
                write(text)
            else:
                write(_U8_U32(108, len(value)))
                stack.append(_NIL)
                stack.extend(value[::-1])
        elif of is dict or of is Map:
            write(_U8_U32(116, len(value)))
            if maps is None:
                for pair in reversed(value.items()):
                    stack += pair[::-1]
            elif maps:
                pairs = [canonical(key, maps - 1) + canonical(held, maps - 1) for key, held in value.items()]
                write(b"".join(sorted(pairs)))
            else:
                raise EtfError(f"more than {MAPS_IN_KEYS} maps inside each other in the key of a map")
        elif of is float:
            if value - value != 0.0:
                raise EtfError("a float that is not finite cannot be encoded: Erlang has none")
            write(_U8_F64(70, value))
        elif of is ImproperList:
            write(_U8_U32(108, len(value.items)))
            stack.append(value.tail)
            stack.extend(value.items[::-1])
        else:
            write(_rare(value))
    return out


def _as_string(items: list[Term]) -> bytes | None:
    """A list of bytes as such, which a node writes as a string; None where the list holds anything else."""
    if len(items) > _STRING_MAX or items[0].__class__ is not int:
        return None
    for item in items:
        if item.__class__ is not int:
            return None
    try:
        return bytes(items)
    except ValueError:
        return None


@lru_cache(maxsize=4096)
def _atom(atom: Atom) -> bytes:
    raw = atom.encode()
    if len(atom) > 255:
        raise EtfError(f"an atom of {len(atom)} characters; 255 is the most")
    return b"w%c%b" % (len(raw), raw) if len(raw) <= 255 else _U8_U16(118, len(raw)) + raw


def _big(value: int) -> bytes:
    magnitude = abs(value)
    size = (magnitude.bit_length() + 7) // 8
    head = b"n%c" % size if size <= 255 else _U8_U32(111, size)
    return head + (b"\1" if value < 0 else b"\0") + magnitude.to_bytes(size, "little")


def _rare(value: Term) -> bytes:
    if isinstance(value, bool):
        return _atom(Atom("true" if value else "false"))
    if isinstance(value, Pid):
        return b"X%b%b%b%b" % (_atom(value.node), _U32(value.id), _U32(value.serial), _U32(value.creation))
    if isinstance(value, Reference):
        words = b"".join(map(_U32, value.ids))
        return b"%b%b%b%b" % (_U8_U16(90, len(value.ids)), _atom(value.node), _U32(value.creation), words)
    if isinstance(value, Port):
        node, creation = _atom(value.node), _U32(value.creation)
        if value.id < 1 << 28:
            return b"Y%b%b%b" % (node, _U32(value.id), creation)
        return b"x%b%b%b" % (node, value.id.to_bytes(8, "big"), creation)
    if isinstance(value, BitString):
        return _U8_U32(77, len(value.data)) + bytes([value.bits]) + value.data
    if isinstance(value, Export):
        return b"q%b%ba%c" % (_atom(value.module), _atom(value.function), value.arity)
    if isinstance(value, Fun):
        return b"p" + value.raw
    if isinstance(value, bytearray | memoryview):
        return _U8_U32(109, len(value)) + value
    raise EtfError(
        f"a value of type {type(value).__name__} is no term: text is an Atom, bytes, or a list of code points"
    )
