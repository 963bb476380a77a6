"""Bytes to terms: one loop with its own stack, by offsets, within limits.

Any bytes give a term or an EtfError, in time linear in their number and in memory of at most `MEMORY_FACTOR` times
their number (the worst is a list of empty lists: one byte each there, a list object of 56 bytes and its pointer
here). Every length is checked against the bytes that are left before anything is allocated for it.

Source: External Term Format, ERTS User's Guide; the tags are in the order of how often nodes send them.
"""

from __future__ import annotations

from itertools import repeat
from struct import Struct
from struct import error as struct_error
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang.errors import EtfError
from bridge.erlang.terms import Atom, BitString, Export, Fun, ImproperList, Map, Pid, Port, Reference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.erlang.terms import Term

MEMORY_FACTOR: Final = 100
ATOM_CHARACTERS: Final = 255
ATOMS_KEPT: Final = 8192
"""Nodes repeat a few hundred atoms, so they are kept, but never more than this many."""

_U16: Final = Struct(">H").unpack_from
_U32: Final = Struct(">I").unpack_from
_I32: Final = Struct(">i").unpack_from
_F64: Final = Struct(">d").unpack_from
_PID: Final = Struct(">III").unpack_from
_WORDS: Final = [Struct(f">{1 + words}I").unpack_from for words in range(6)]

_ROOT, _TUPLE, _LIST, _TAIL, _MAP = range(5)
_TEXT_KEYS: Final = frozenset({Atom, bytes})
_PLAIN_KEYS: Final = frozenset({Atom, bytes, int})
_PLAIN_INT: Final = 1 << 60
"""Integers below this hash to themselves; larger ones can be made to collide, which would make a dict quadratic."""


class Limits(NamedTuple):
    """What is too much; an EtfError names the limit that was passed."""

    nesting: int = 10_000
    """Tuples, lists and maps inside each other."""
    elements: int = 10_000_000
    """Elements of all tuples, lists and maps together: some 640 MB here, if all of them are empty lists."""
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


def decode(data: bytes, pos: int = 0, limits: Limits = DEFAULT_LIMITS, end: int | None = None) -> tuple[Term, int]:
    """Decode one term without the leading 131, as inside a distribution message.

    Args:
        data: the bytes; they are not copied but for what becomes part of the term.
        pos: where the term's tag is.
        limits: what is too much.
        end: where the bytes of the term end at the latest; the end of `data` by default.

    Returns:
        The term and the offset after it.

    Raises:
        EtfError: not a term, cut short, or beyond the limits.
    """
    if end is None:
        end = len(data)
    try:
        term, pos = _decode(data, pos, end, limits)
    except (IndexError, ValueError, OverflowError, struct_error) as error:
        # the bytes ran out, an atom is no UTF-8, or a float of the old form is no number
        raise EtfError("a term is cut short or damaged") from error
    if pos > end:
        raise EtfError("a term is cut short")
    return term, pos


def _decode(data: bytes, pos: int, end: int, limits: Limits) -> tuple[Term, int]:  # noqa: C901, PLR0912, PLR0915
    atoms = _ATOMS
    stack: list[tuple[list[Term], Iterator[None], int]] = []
    items: list[Term] = []
    kind = _ROOT
    missing: Iterator[None] = repeat(None, 1)  # one step for each element of the innermost container that is due
    elements = limits.elements
    value: Term
    while True:
        for _ in missing:
            tag = data[pos]
            if tag == 119:  # SMALL_ATOM_UTF8_EXT
                after = pos + 2 + data[pos + 1]
                items.append(atoms[data[pos:after]])
                pos = after
            elif tag == 100:  # ATOM_EXT: Latin-1, as OTP 25 sends them
                after = pos + 3 + _U16(data, pos + 1)[0]
                items.append(atoms[data[pos:after]])
                pos = after
            elif tag == 97:  # SMALL_INTEGER_EXT
                items.append(data[pos + 1])
                pos += 2
            elif tag == 109:  # BINARY_EXT
                after = pos + 5 + _U32(data, pos + 1)[0]
                if after > end:
                    raise EtfError("a binary is cut short")
                items.append(data[pos + 5 : after])
                pos = after
            elif tag == 98:  # INTEGER_EXT
                items.append(_I32(data, pos + 1)[0])
                pos += 5
            elif tag == 104 or tag == 108 or tag == 116 or tag == 105:  # tuple, list, map, large tuple  # noqa: PLR1714
                if tag == 104:
                    size = wanted = data[pos + 1]
                    pos += 2
                else:
                    (size,) = _U32(data, pos + 1)
                    pos += 5
                    wanted = size + size if tag == 116 else size
                elements -= wanted
                if wanted > end - pos or elements < 0:
                    raise EtfError(f"{size} elements are claimed with {end - pos} bytes and {elements} elements left")
                if kind == _TAIL and tag == 108:
                    # a tail that is a list (only other libraries send one) continues the list
                    kind = _LIST
                else:
                    if len(stack) >= limits.nesting:
                        raise EtfError(f"nesting deeper than {limits.nesting}")
                    stack.append((items, missing, kind))
                    items = []
                    kind = _TUPLE if tag < 108 else _LIST if tag == 108 else _MAP
                missing = repeat(None, wanted)
                break
            elif tag == 106:  # NIL_EXT
                items.append([])
                pos += 1
            elif tag == 107:  # STRING_EXT
                (size,) = _U16(data, pos + 1)
                pos += 3
                elements -= size
                if size > end - pos or elements < 0:
                    raise EtfError("a string is cut short, or there are too many elements")
                items.append(list(data[pos : pos + size]))
                pos += size
            elif tag == 70:  # NEW_FLOAT_EXT
                (value,) = _F64(data, pos + 1)
                if value - value != 0.0:
                    raise EtfError("a float that is not finite")
                items.append(value)
                pos += 9
            elif tag == 110:  # SMALL_BIG_EXT
                after = pos + 3 + data[pos + 1]
                if after > end:
                    raise EtfError("an integer is cut short")
                items.append(_integer(data[pos + 2], data[pos + 3 : after]))
                pos = after
            else:
                value, pos = _rare(tag, data, pos + 1, end)
                items.append(value)
        else:
            if kind == _TUPLE:
                value = tuple(items)
            elif kind == _LIST:
                if data[pos] != 106:
                    kind = _TAIL
                    missing = repeat(None, 1)
                    continue
                pos += 1
                value = items
            elif kind == _MAP:
                value = _map(items)
            elif kind == _TAIL:
                value = _tailed(items)
            else:
                return items[0], pos
            items, missing, kind = stack.pop()
            items.append(value)


def _tailed(items: list[Term]) -> Term:
    """A list from its elements and a tail that is not written as the empty list."""
    tail = items.pop()
    if tail.__class__ is list:
        items += tail
        return items
    return ImproperList(items, tail) if items else tail


def _integer(sign: int, magnitude: bytes) -> int:
    if sign > 1:
        raise EtfError("an integer with a sign that is none")
    value = int.from_bytes(magnitude, "little")
    return -value if sign else value


def _map(flat: list[Term]) -> dict[Term, Term] | Map:
    keys = flat[0::2]
    kinds = {*map(type, keys)}
    made: dict[Term, Term] | Map
    if kinds <= _TEXT_KEYS or (
        kinds <= _PLAIN_KEYS and all(key.__class__ is not int or -_PLAIN_INT < key < _PLAIN_INT for key in keys)
    ):
        made = dict(zip(keys, flat[1::2], strict=True))
    else:
        made = Map(list(zip(keys, flat[1::2], strict=True)))
    if len(made) != len(keys):
        raise EtfError("a map has a key twice")
    return made


def _rare(tag: int, data: bytes, pos: int, end: int) -> tuple[Term, int]:  # noqa: C901, PLR0912 - one per tag
    if tag == 88:  # NEW_PID_EXT
        node, pos = _node_at(data, pos)
        return Pid(node, *_PID(data, pos)), pos + 12
    if tag == 90:  # NEWER_REFERENCE_EXT
        words = _words(data, pos)
        node, pos = _node_at(data, pos + 2)
        creation, *ids = _WORDS[words](data, pos)
        return Reference(node, tuple(ids), creation), pos + 4 + 4 * words
    if tag == 111:  # LARGE_BIG_EXT
        after = pos + 5 + int(_U32(data, pos)[0])
        if after > end:
            raise EtfError("an integer is cut short")
        return _integer(data[pos + 4], data[pos + 5 : after]), after
    if tag in {118, 115}:  # ATOM_UTF8_EXT, SMALL_ATOM_EXT
        return _node_at(data, pos - 1)
    if tag == 77:  # BIT_BINARY_EXT
        size, bits = _U32(data, pos)[0], data[pos + 4]
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
        (size,) = _U32(data, pos)
        if not 4 < size <= end - pos:
            raise EtfError("a fun is cut short")
        return Fun(data[pos : pos + size]), pos + size
    if tag == 89:  # NEW_PORT_EXT
        node, pos = _node_at(data, pos)
        return Port(node, _U32(data, pos)[0], _U32(data, pos + 4)[0]), pos + 8
    if tag == 120:  # V4_PORT_EXT
        node, pos = _node_at(data, pos)
        high, low, creation = _PID(data, pos)
        return Port(node, high << 32 | low, creation), pos + 12
    return _old(tag, data, pos, end)


def _old(tag: int, data: bytes, pos: int, end: int) -> tuple[Term, int]:
    """What nodes before OTP 23 wrote: a creation was one byte then, and a float was text."""
    if tag == 99:  # FLOAT_EXT: "%.20e", padded with zero bytes
        if end - pos < 31:
            raise EtfError("a float is cut short")
        value = float(data[pos : pos + 31].rstrip(b"\0"))
        if value - value != 0.0:
            raise EtfError("a float that is not finite")
        return value, pos + 31
    if tag == 103:  # PID_EXT
        node, pos = _node_at(data, pos)
        return Pid(node, _U32(data, pos)[0], _U32(data, pos + 4)[0], data[pos + 8] & 3), pos + 9
    if tag == 102:  # PORT_EXT
        node, pos = _node_at(data, pos)
        return Port(node, _U32(data, pos)[0], data[pos + 4] & 3), pos + 5
    if tag == 101:  # REFERENCE_EXT
        node, pos = _node_at(data, pos)
        return Reference(node, _U32(data, pos), data[pos + 4] & 3), pos + 5
    if tag == 114:  # NEW_REFERENCE_EXT
        words = _words(data, pos)
        node, pos = _node_at(data, pos + 2)
        return Reference(node, _WORDS[words - 1](data, pos + 1), data[pos] & 3), pos + 1 + 4 * words
    raise EtfError(f"no term starts with the byte {tag}")


def _words(data: bytes, pos: int) -> int:
    words: int = _U16(data, pos)[0]
    if not 1 <= words <= 5:
        raise EtfError(f"a reference of {words} words")
    return words


class _Atoms(dict[bytes, Atom]):
    """Atoms by their encoding, tag and length included; one that is met for the first time is checked."""

    def __missing__(self, raw: bytes) -> Atom:
        latin = raw[0] in {100, 115}  # ATOM_EXT, SMALL_ATOM_EXT: Latin-1
        head = 2 if raw[0] in {119, 115} else 3
        if len(raw) != head + int.from_bytes(raw[1:head], "big"):
            raise EtfError("an atom is cut short")
        text = raw[head:].decode("latin-1" if latin else "utf-8")
        if len(text) > ATOM_CHARACTERS:
            raise EtfError(f"an atom longer than {ATOM_CHARACTERS} characters")
        if len(self) >= ATOMS_KEPT:
            self.clear()
        atom = self[raw] = Atom(text)
        return atom


_ATOMS: Final = _Atoms()


def _node_at(data: bytes, pos: int) -> tuple[Atom, int]:
    """An atom of any kind, also inside another term (a node, a module, a function)."""
    tag = data[pos]
    if tag in {119, 115}:
        after = pos + 2 + data[pos + 1]
    elif tag in {118, 100}:
        after = pos + 3 + int(_U16(data, pos + 1)[0])
    else:
        raise EtfError("an atom was due")
    return _ATOMS[data[pos:after]], after
