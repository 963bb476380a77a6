"""Bytes to terms: one loop with its own stack, by offsets, within limits.

Any bytes give a term or an EtfError, in time linear in their number and in memory of at most `MEMORY_FACTOR` times
their number (the worst is a list of empty lists: one byte each there, a list object of 56 bytes and its pointer
here). Every length is checked against the bytes that are left before anything is allocated for it.

Source: External Term Format, ERTS User's Guide; the tags are in the order of how often nodes send them.
"""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang.errors import EtfError
from bridge.erlang.terms import Atom, BitString, Export, Fun, ImproperList, Map, Pid, Port, Reference

if TYPE_CHECKING:
    from bridge.erlang.terms import Term

MEMORY_FACTOR: Final = 100

_U16: Final = Struct(">H").unpack_from
_U32: Final = Struct(">I").unpack_from
_I32: Final = Struct(">i").unpack_from
_F64: Final = Struct(">d").unpack_from

_TUPLE, _LIST, _MAP = range(3)
_PLAIN_INT: Final = 1 << 60
"""Integers below this hash to themselves; larger ones can be made to collide, which would make a dict quadratic."""


class Limits(NamedTuple):
    """What is too much; an EtfError names the limit that was passed."""

    nesting: int = 10_000
    """Tuples, lists and maps inside each other. Deeper terms would overflow the C stack when hashed or compared."""
    inflated: int = 64 * 1024 * 1024
    """Bytes of a compressed term when inflated, as claimed and as found."""


DEFAULT_LIMITS: Final = Limits()


def binary_to_term(data: bytes | bytearray | memoryview, limits: Limits = DEFAULT_LIMITS) -> Term:
    """Decode what `term_to_binary/1,2` made, compressed or not; all bytes must belong to it.

    Raises:
        EtfError: not a term, bytes after it, or beyond the limits.
    """
    data = bytes(data)
    if data[:1] != b"\x83":
        raise EtfError("a term starts with the byte 131")
    start = 1
    if data[1:2] == b"P":
        data, start = _inflate(data, limits), 0
    term, end = decode(data, start, limits)
    if end != len(data):
        raise EtfError(f"{len(data) - end} bytes after the term")
    return term


def _inflate(data: bytes, limits: Limits) -> bytes:
    import zlib  # noqa: PLC0415 - rare

    if len(data) < 6:
        raise EtfError("a compressed term is cut short")
    claimed: int = _U32(data, 2)[0]
    if claimed > limits.inflated:
        raise EtfError(f"a compressed term claims {claimed} bytes, the limit is {limits.inflated}")
    machine = zlib.decompressobj()
    try:
        inflated = machine.decompress(memoryview(data)[6:], claimed + 1)
    except zlib.error as error:
        raise EtfError("a compressed term is damaged") from error
    if len(inflated) != claimed or not machine.eof or machine.unused_data:
        raise EtfError("a compressed term is not as long as it claims")
    return inflated


def decode(data: bytes, offset: int = 0, limits: Limits = DEFAULT_LIMITS) -> tuple[Term, int]:
    """Decode one term without the leading 131, as inside a distribution message.

    Args:
        data: the bytes; they are not copied but for what becomes part of the term.
        offset: where the term's tag is.
        limits: what is too much.

    Returns:
        The term and the offset after it.

    Raises:
        EtfError: not a term, cut short, or beyond the limits.
    """
    try:
        return _decode(data, offset, limits)
    except (IndexError, ValueError, OverflowError) as error:
        # IndexError, and the ValueError of Struct in disguise, mean that the bytes ran out; UnicodeDecodeError an atom
        raise EtfError("a term is cut short or damaged") from error


def _decode(data: bytes, pos: int, limits: Limits) -> tuple[Term, int]:  # noqa: C901, PLR0912, PLR0915 - one loop
    end = len(data)
    stack: list[tuple[list[Term], int, int]] = []
    items: list[Term] = []
    missing = 1
    kind = _TUPLE
    value: Term
    while True:
        tag = data[pos]
        pos += 1
        if tag == 119:  # SMALL_ATOM_UTF8_EXT
            size = data[pos]
            pos += 1
            value = _atom(data[pos : pos + size], size)
            pos += size
        elif tag == 97:  # SMALL_INTEGER_EXT
            value = data[pos]
            pos += 1
        elif tag == 109:  # BINARY_EXT
            size = _u32(data, pos)
            pos += 4
            if size > end - pos:
                raise EtfError("a binary is cut short")
            value = data[pos : pos + size]
            pos += size
        elif tag == 104 or tag == 108 or tag == 116 or tag == 105:  # tuple, list, map, large tuple  # noqa: PLR1714
            if tag == 104:
                size = data[pos]
                pos += 1
            else:
                size = _u32(data, pos)
                pos += 4
            wanted = size + 1 if tag == 108 else size + size if tag == 116 else size
            if wanted > end - pos:
                raise EtfError(f"{size} elements are claimed with {end - pos} bytes left")
            if wanted:
                if len(stack) >= limits.nesting:
                    raise EtfError(f"nesting deeper than {limits.nesting}")
                stack.append((items, missing, kind))
                items = []
                missing = wanted
                kind = _LIST if tag == 108 else _MAP if tag == 116 else _TUPLE
                continue
            value = {} if tag == 116 else ()
        elif tag == 106:  # NIL_EXT
            value = []
        elif tag == 98:  # INTEGER_EXT
            value = _i32(data, pos)
            pos += 4
        elif tag == 107:  # STRING_EXT
            size = _u16(data, pos)
            pos += 2
            if size > end - pos:
                raise EtfError("a string is cut short")
            value = list(data[pos : pos + size])
            pos += size
        elif tag == 70:  # NEW_FLOAT_EXT
            value = _float(_f64(data, pos))
            pos += 8
        else:
            value, pos = _rare(tag, data, pos)
        while True:
            items.append(value)
            missing -= 1
            if missing:
                break
            if not stack:
                return value, pos
            if kind == _TUPLE:
                value = tuple(items)
            elif kind == _LIST:
                tail = items.pop()
                if tail.__class__ is list:
                    # a tail that is a list (only other nodes' libraries send one) continues the list
                    value = items + tail if tail else items
                elif tail.__class__ is ImproperList:
                    value = ImproperList(items + tail.items, tail.tail)
                else:
                    value = ImproperList(items, tail) if items else tail
            else:
                value = _map(items)
            items, missing, kind = stack.pop()


def _map(flat: list[Term]) -> dict[Term, Term] | Map:
    keys = flat[0::2]
    plain = True
    for key in keys:
        of = key.__class__
        if of is not Atom and of is not bytes and (of is not int or not -_PLAIN_INT < key < _PLAIN_INT):
            plain = False
            break
    made: dict[Term, Term] | Map
    made = dict(zip(keys, flat[1::2], strict=True)) if plain else Map(list(zip(keys, flat[1::2], strict=True)))
    if len(made) != len(keys):
        raise EtfError("a map has a key twice")
    return made


def _rare(tag: int, data: bytes, pos: int) -> tuple[Term, int]:  # noqa: C901, PLR0912 - one branch per tag
    end = len(data)
    if tag in {110, 111}:  # SMALL_BIG_EXT, LARGE_BIG_EXT
        size, pos = (data[pos], pos + 1) if tag == 110 else (_u32(data, pos), pos + 4)
        sign = data[pos]
        pos += 1
        if size > end - pos or sign > 1:
            raise EtfError("an integer is cut short")
        magnitude = int.from_bytes(data[pos : pos + size], "little")
        return (-magnitude if sign else magnitude), pos + size
    if tag in {118, 100, 115}:  # ATOM_UTF8_EXT, ATOM_EXT, SMALL_ATOM_EXT
        return _atom_at(tag, data, pos)
    if tag in {88, 103}:  # NEW_PID_EXT, PID_EXT
        node, pos = _node_at(data, pos)
        creation, after = _creation(data, pos + 8, old=tag == 103)
        return Pid(node, _u32(data, pos), _u32(data, pos + 4), creation), after
    if tag in {90, 114}:  # NEWER_REFERENCE_EXT, NEW_REFERENCE_EXT
        words = _u16(data, pos)
        node, pos = _node_at(data, pos + 2)
        creation, pos = _creation(data, pos, old=tag == 114)
        if not 1 <= words <= 5:
            raise EtfError(f"a reference of {words} words")
        ids = tuple(_u32(data, pos + 4 * index) for index in range(words))
        return Reference(node, ids, creation), pos + 4 * words
    if tag == 101:  # REFERENCE_EXT
        node, pos = _node_at(data, pos)
        creation, after = _creation(data, pos + 4, old=True)
        return Reference(node, (_u32(data, pos),), creation), after
    if tag in {89, 102}:  # NEW_PORT_EXT, PORT_EXT
        node, pos = _node_at(data, pos)
        creation, after = _creation(data, pos + 4, old=tag == 102)
        return Port(node, _u32(data, pos), creation), after
    if tag == 120:  # V4_PORT_EXT
        node, pos = _node_at(data, pos)
        number = _u32(data, pos) << 32 | _u32(data, pos + 4)
        return Port(node, number, _u32(data, pos + 8)), pos + 12
    if tag == 77:  # BIT_BINARY_EXT
        size, bits = _u32(data, pos), data[pos + 4]
        pos += 5
        if size > end - pos or not 1 <= bits <= 8 or not size:
            raise EtfError("a bit string is cut short")
        raw = data[pos : pos + size]
        return (raw if bits == 8 else BitString(raw, bits)), pos + size
    if tag == 113:  # EXPORT_EXT
        module, pos = _node_at(data, pos)
        function, pos = _node_at(data, pos)
        if data[pos] != 97:
            raise EtfError("an external fun without arity")
        return Export(module, function, data[pos + 1]), pos + 2
    if tag == 112:  # NEW_FUN_EXT: its size counts itself
        size = _u32(data, pos)
        if not 4 < size <= end - pos:
            raise EtfError("a fun is cut short")
        return Fun(data[pos : pos + size]), pos + size
    if tag == 99:  # FLOAT_EXT: "%.20e", padded with zero bytes
        if end - pos < 31:
            raise EtfError("a float is cut short")
        return _float(float(data[pos : pos + 31].rstrip(b"\0"))), pos + 31
    raise EtfError(f"no term starts with the byte {tag}")


def _u16(data: bytes, pos: int) -> int:
    if pos + 2 > len(data):
        raise EtfError("a term is cut short")
    return int(_U16(data, pos)[0])


def _u32(data: bytes, pos: int) -> int:
    if pos + 4 > len(data):
        raise EtfError("a term is cut short")
    return int(_U32(data, pos)[0])


def _i32(data: bytes, pos: int) -> int:
    if pos + 4 > len(data):
        raise EtfError("a term is cut short")
    return int(_I32(data, pos)[0])


def _f64(data: bytes, pos: int) -> float:
    if pos + 8 > len(data):
        raise EtfError("a term is cut short")
    return float(_F64(data, pos)[0])


def _float(value: float) -> float:
    if value - value != 0.0:
        raise EtfError("a float that is not finite")
    return value


def _creation(data: bytes, pos: int, *, old: bool) -> tuple[int, int]:
    return (data[pos] & 3, pos + 1) if old else (_u32(data, pos), pos + 4)


@lru_cache(maxsize=8192)
def _atom(raw: bytes, size: int) -> Atom:
    """An atom's text; nodes repeat a few hundred names, so they are kept (a bounded number of them)."""
    if len(raw) != size:
        raise EtfError("an atom is cut short")
    text = raw.decode("utf-8")
    if len(text) > 255:
        raise EtfError("an atom longer than 255 characters")
    return Atom(text)


def _atom_at(tag: int, data: bytes, pos: int) -> tuple[Atom, int]:
    if tag in {119, 115}:
        size, pos = data[pos], pos + 1
    else:
        size, pos = _u16(data, pos), pos + 2
    raw = data[pos : pos + size]
    if tag in {100, 115}:  # Latin-1, as OTP 25 still sends some
        raw = raw.decode("latin-1").encode() if len(raw) == size else b""
        return _atom(raw, max(len(raw), size)), pos + size
    return _atom(raw, size), pos + size


def _node_at(data: bytes, pos: int) -> tuple[Atom, int]:
    """An atom inside another term (a node, a module, a function)."""
    if data[pos] not in {119, 118, 100, 115}:
        raise EtfError("an atom was due")
    return _atom_at(data[pos], data, pos + 1)
