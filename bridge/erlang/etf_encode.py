"""Terms to bytes. What a node could not read, and would close the connection for, is an EtfError before a byte is sent.

Source: External Term Format, ERTS User's Guide. Only tags that every node from OTP 24 on understands are written.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import chain
from struct import Struct, error
from typing import TYPE_CHECKING, Final

from bridge.erlang.errors import EtfError
from bridge.erlang.etf_decode import ATOM_CHARACTERS, decode, finite
from bridge.erlang.terms import NESTING, Atom, BitString, Export, Fun, ImproperList, Map, Pid, Port, Reference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridge.erlang.terms import Term

_U8_U32: Final = Struct(">BI").pack
_U8_I32: Final = Struct(">Bi").pack
_U8_U16: Final = Struct(">BH").pack
_U8_F64: Final = Struct(">Bd").pack
_U32: Final = Struct(">I").pack
_STRING_MAX: Final = 65_535
INTEGER_BYTES: Final = 524_280
"""Of the largest integer in a node from OTP 26 on."""

_SMALL: Final = [b"a%c" % value for value in range(256)]
_SMALL_TUPLE: Final = [b"h%c" % size for size in range(256)]


def term_to_binary(term: Term) -> bytes:
    """Encode a term as `term_to_binary/1` does, with the leading 131.

    Raises:
        EtfError: a value that no term can hold (str, None, NaN), named by its type.
    """
    return _encoded((term,), head=b"\x83")


def encode(term: Term) -> bytes:
    """Encode a term without the leading 131, as inside a distribution message.

    Raises:
        EtfError: as above.
    """
    return _encoded((term,))


def canonical(term: Term) -> bytes:
    """An encoding in which terms are equal exactly when they are `=:=`: maps have their pairs in order.

    Raises:
        EtfError: as above.
    """
    return _encoded((term,), ordered=True)


def _encoded(terms: Iterable[Term], levels: int = NESTING, ordered: bool = False, head: bytes = b"") -> bytes:
    out = [head]  # pieces to be joined: a long binary is copied once that way
    try:
        _write(terms, out.append, levels, ordered)
    except (error, ValueError, OverflowError, TypeError, AttributeError) as cause:
        # a number out of its range, half a surrogate pair, or something else where a number or an atom belongs
        raise EtfError(f"a value cannot be encoded as a term: {cause}") from cause
    return b"".join(out)


def _write(  # noqa: C901, PLR0912 - one branch per type
    terms: Iterable[Term], write: Callable[[bytes], None], levels: int, ordered: bool
) -> None:
    """Give the pieces of terms to `write`; there may be `levels` more tuples, lists and maps inside each other."""
    if levels < 0:
        raise EtfError(f"a term is nested deeper than {NESTING} levels", "does a list or a map hold itself?")
    for value in terms:
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
        elif of is tuple:
            write(_SMALL_TUPLE[len(value)] if len(value) <= 255 else _U8_U32(105, len(value)))
            _write(value, write, levels - 1, ordered)
        elif of is list:
            if not value:
                write(b"j")
            elif (text := _as_string(value)) is not None:
                write(_U8_U16(107, len(text)))
                write(text)
            else:
                write(_U8_U32(108, len(value)))
                _write(value, write, levels - 1, ordered)
                write(b"j")
        elif of is dict or of is Map:
            write(_U8_U32(116, len(value)))
            if ordered:
                entries = (value if of is Map else Map([*value.items()])).entries
                pairs = (key + _encoded(pair[1:], levels - 1, ordered) for key, pair in entries.items())
                write(b"".join(sorted(pairs)))
            else:
                _write(chain.from_iterable(value.items()), write, levels - 1, ordered)
        elif of is float:
            write(_U8_F64(70, finite(value)))
        elif of is ImproperList:
            if not value.items or value.tail.__class__ is list:
                raise EtfError("an improper list has no elements, or its tail is a list", "use a list")
            write(_U8_U32(108, len(value.items)))
            _write(chain(value.items, (value.tail,)), write, levels - 1, ordered)
        else:
            write(_rare(value))


def _as_string(items: list[Term]) -> bytes | None:
    """A list of bytes as such, which a node writes as a string; None where the list holds anything else."""
    if len(items) > _STRING_MAX or items[0].__class__ is not int:
        return None
    try:
        text = bytes(items)
    except (TypeError, ValueError):
        return None
    return text if {*map(type, items)} == {int} else None


@lru_cache(maxsize=4096)
def _atom(atom: Atom) -> bytes:
    raw = atom.encode()
    if len(atom) > ATOM_CHARACTERS:
        raise EtfError(f"an atom has {len(atom)} characters; {ATOM_CHARACTERS} is the most")
    return b"w%c%b" % (len(raw), raw) if len(raw) <= 255 else _U8_U16(118, len(raw)) + raw


def _big(value: int) -> bytes:
    magnitude = abs(value)
    size = (magnitude.bit_length() + 7) // 8
    if size > INTEGER_BYTES:
        raise EtfError(f"an integer of {size} bytes cannot be encoded as a term; {INTEGER_BYTES} is the most")
    head = b"n%c" % size if size <= 255 else _U8_U32(111, size)
    return head + (b"\1" if value < 0 else b"\0") + magnitude.to_bytes(size, "little")


def _rare(value: Term) -> bytes:
    match value:
        case Pid():
            return b"X%b%b%b%b" % (_atom(value.node), _U32(value.id), _U32(value.serial), _U32(value.creation))
        case Reference() if 1 <= len(value.ids) <= 5:
            words = b"".join(map(_U32, value.ids))
            return b"%b%b%b%b" % (_U8_U16(90, len(value.ids)), _atom(value.node), _U32(value.creation), words)
        case Port():
            if value.id < 1 << 28:
                return b"Y%b%b%b" % (_atom(value.node), _U32(value.id), _U32(value.creation))
            return b"x%b%b%b" % (_atom(value.node), value.id.to_bytes(8, "big"), _U32(value.creation))
        case BitString(data, bits) if data and 1 <= bits <= 7 and not data[-1] & 0xFF >> bits:
            return _U8_U32(77, len(data)) + bytes([bits]) + data
        case Export(module, function, arity):
            return b"q%b%b" % (_atom(module), _atom(function)) + bytes([97, arity])
        case Fun(raw) if decode(b"p" + raw)[1] == 1 + len(raw):
            return b"p" + raw
        case _:
            raise EtfError(
                f"a value of type {type(value).__name__} cannot be encoded as a term",
                "check its fields; text is an Atom, bytes, or a list of code points, and true an Atom",
            )
