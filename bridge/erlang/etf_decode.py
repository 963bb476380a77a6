"""Bytes to terms, by offsets and within limits.

Any bytes give a term or an EtfError, in time linear in their number and in memory of at most `MEMORY_FACTOR` times
their number (the worst are maps as keys of maps). A number of elements is checked against the bytes that are left
before anything is allocated for it. Where a short text or number goes too far, that is checked once, at the end.

Source: External Term Format, ERTS User's Guide; the tags are in the order of how often nodes send them.
"""

from __future__ import annotations

from itertools import repeat
from struct import Struct, error
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.erlang.errors import EtfError
from bridge.erlang.terms import NESTING, Atom, BitString, Export, Fun, ImproperList, Map, Pid, Port, Reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.erlang.terms import Term

MEMORY_FACTOR: Final = 150
ATOM_CHARACTERS: Final = 255
ATOMS_KEPT: Final = 8192
"""Nodes repeat a few hundred atoms, so they are kept, but never more than this many."""

_U16: Final = Struct(">H").unpack_from
_U32: Final = Struct(">I").unpack_from
_I32: Final = Struct(">i").unpack_from
_F64: Final = Struct(">d").unpack_from
_WORDS: Final = [Struct(f">{words}I").unpack_from for words in range(7)]

_SALTED: Final = frozenset({Atom, bytes})
UNSALTED_KEYS: Final = 128
"""Keys of a map that becomes a dict although there are integers among them. Python hashes those without a salt, so a
peer can choose some that collide, and a dict of many such keys takes quadratic time."""


class Limits(NamedTuple):
    """What is too much beside `NESTING`; an EtfError names the limit that was passed."""

    elements: int = 10_000_000
    """Elements of all tuples, lists and maps together: some 640 MB here, if all of them are empty lists."""
    inflated: int = 64 * 1024 * 1024
    """Bytes of a compressed term when inflated, as it claims and as it has."""


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
    except zlib.error as cause:
        raise EtfError("a compressed term is damaged") from cause
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
    end = len(data) if end is None else end
    root: list[Term] = []
    try:
        pos = _read(root, 1, data, pos, end, NESTING, [limits.elements + 1])  # one is the term itself
    except (IndexError, ValueError, error) as cause:  # the bytes ran out, or an atom is not UTF-8
        raise EtfError("a term is cut short or damaged") from cause
    if pos > end:
        raise EtfError("a term is cut short")
    return root[0], pos


def _read(  # noqa: C901, PLR0912, PLR0915, PLR0917 - one branch per tag, and no object to hold what they share
    items: list[Term], wanted: int, data: bytes, pos: int, end: int, levels: int, left: list[int]
) -> int:
    """Append as many terms as are wanted to the items; the offset after them.

    There may be `levels` more tuples, lists and maps inside each other, and `left` more elements, a list of one number
    because all levels share it.
    """
    left[0] -= wanted
    if levels < 0:
        raise EtfError(f"a term is nested deeper than {NESTING} levels")
    if wanted > end - pos or left[0] < 0:
        raise EtfError(f"{wanted} elements are claimed, more than there are bytes, or than the limit allows")
    append = items.append
    atoms = _ATOMS
    for _ in repeat(None, wanted):
        tag = data[pos]
        if tag == 119:  # SMALL_ATOM_UTF8_EXT
            after = pos + 2 + data[pos + 1]
            append(atoms[data[pos:after]])
            pos = after
        elif tag == 100:  # ATOM_EXT: Latin-1, as OTP 25 sends them
            after = pos + 3 + _U16(data, pos + 1)[0]
            append(atoms[data[pos:after]])
            pos = after
        elif tag == 97:  # SMALL_INTEGER_EXT
            append(data[pos + 1])
            pos += 2
        elif tag == 109:  # BINARY_EXT
            after = pos + 5 + _U32(data, pos + 1)[0]
            if after > end:
                raise EtfError("a binary is cut short")
            append(data[pos + 5 : after])
            pos = after
        elif tag == 98:  # INTEGER_EXT
            append(_I32(data, pos + 1)[0])
            pos += 5
        elif tag == 104 or tag == 105:  # SMALL_TUPLE_EXT, LARGE_TUPLE_EXT  # noqa: PLR1714 - faster
            size, pos = (data[pos + 1], pos + 2) if tag == 104 else (_U32(data, pos + 1)[0], pos + 5)
            held: list[Term] = []
            pos = _read(held, size, data, pos, end, levels - 1, left)
            append(tuple(held))
        elif tag == 108:  # LIST_EXT
            held = []
            pos = _read(held, _U32(data, pos + 1)[0], data, pos + 5, end, levels - 1, left)
            if data[pos] == 106:
                append(held)
                pos += 1
            else:
                pos = _read(held, 1, data, pos, end, levels - 1, left)
                tail = held.pop()
                if not held or tail.__class__ is list:
                    raise EtfError("an improper list has no elements, or its tail is a list")
                append(ImproperList(held, tail))
        elif tag == 116:  # MAP_EXT
            held = []
            pos = _read(held, 2 * _U32(data, pos + 1)[0], data, pos + 5, end, levels - 1, left)
            append(_map(held))
        elif tag == 106:  # NIL_EXT
            append([])
            pos += 1
        elif tag == 107:  # STRING_EXT
            after = pos + 3 + _U16(data, pos + 1)[0]
            left[0] -= after - pos - 3
            if after > end or left[0] < 0:
                raise EtfError("a string is cut short, or has more elements than the limit allows")
            append(list(data[pos + 3 : after]))
            pos = after
        elif tag == 70:  # NEW_FLOAT_EXT
            append(finite(_F64(data, pos + 1)[0]))
            pos += 9
        elif tag == 110:  # SMALL_BIG_EXT
            after = pos + 3 + data[pos + 1]
            append(_integer(data[pos + 2], data[pos + 3 : after]))
            pos = after
        elif tag == 112:  # NEW_FUN_EXT: size (of itself too), arity, digest, index, number of free variables, terms
            held, start = [], pos + 1
            pos = _read(held, 4 + _U32(data, pos + 26)[0], data, start + 29, end, levels - 1, left)
            match held:
                case [Atom(), int(index), int(old), Pid(), *free] if pos == start + _U32(data, start)[0] and (
                    max(abs(index), abs(old)) < 1 << 32 and len(free) <= 255
                ):
                    append(Fun(data[start:pos]))
                case _:
                    raise EtfError("a fun is damaged")
        else:
            value, pos = _rare(tag, data, pos + 1, end)
            append(value)
    return pos


def finite(value: float) -> float:
    """The float itself; Erlang has none that is infinite or not a number."""
    if value - value != 0.0:
        raise EtfError("a float is not finite")
    return value


def _integer(sign: int, magnitude: bytes) -> int:
    if sign > 1:
        raise EtfError("the sign of an integer is neither 0 nor 1")
    value = int.from_bytes(magnitude, "little")
    return -value if sign else value


def _map(flat: list[Term]) -> dict[Term, Term] | Map:
    keys = flat[0::2]
    unsalted = {*map(type, keys)} - _SALTED
    pairs = zip(keys, flat[1::2], strict=True)
    is_dict = not unsalted or (unsalted == {int} and len(keys) <= UNSALTED_KEYS)
    made: dict[Term, Term] | Map = dict(pairs) if is_dict else Map(list(pairs))
    if len(made) != len(keys):
        raise EtfError("a map has a key twice")
    return made


_IDENTIFIERS: Final[dict[int, tuple[Callable[..., Term], Callable[..., tuple[int, ...]], int]]] = {
    88: (Pid, Struct(">III").unpack_from, 12),  # NEW_PID_EXT
    89: (Port, Struct(">II").unpack_from, 8),  # NEW_PORT_EXT
    120: (Port, Struct(">QI").unpack_from, 12),  # V4_PORT_EXT
}
"""What follows the node in an identifier, the creation last, and its bytes."""


def _rare(tag: int, data: bytes, pos: int, end: int) -> tuple[Term, int]:
    if known := _IDENTIFIERS.get(tag):
        make, numbers, size = known
        node, pos = _atom_at(data, pos)
        return make(node, *numbers(data, pos)), pos + size
    if tag == 90:  # NEWER_REFERENCE_EXT
        words: int = _U16(data, pos)[0]
        if not 1 <= words <= 5:
            raise EtfError(f"a reference has {words} words, not 1 to 5")
        node, pos = _atom_at(data, pos + 2)
        creation, *ids = _WORDS[1 + words](data, pos)
        return Reference(node, tuple(ids), creation), pos + 4 + 4 * words
    if tag == 111:  # LARGE_BIG_EXT
        after = pos + 5 + int(_U32(data, pos)[0])
        return _integer(data[pos + 4], data[pos + 5 : min(after, end)]), after
    if tag == 118:  # ATOM_UTF8_EXT
        return _atom_at(data, pos - 1)
    if tag == 77:  # BIT_BINARY_EXT
        size, bits = int(_U32(data, pos)[0]), data[pos + 4]
        if not 1 <= bits <= 8 or not size:
            raise EtfError(f"a bit string of {size} bytes has {bits} bits in the last")
        raw = data[pos + 5 : min(pos + 5 + size, end)]
        last = raw[-1] >> 8 - bits << 8 - bits
        return (raw if bits == 8 else BitString(raw[:-1] + bytes([last]), bits)), pos + 5 + size
    if tag == 113:  # EXPORT_EXT
        module, pos = _atom_at(data, pos)
        function, pos = _atom_at(data, pos)
        if data[pos] != 97:
            raise EtfError("an external fun has no arity")
        return Export(module, function, data[pos + 1]), pos + 2
    raise EtfError(f"no term starts with the byte {tag}")


class _Atoms(dict[bytes, Atom]):
    """Atoms by their encoding, tag and length included; one that is seen for the first time is checked."""

    def __missing__(self, raw: bytes) -> Atom:
        head = 2 if raw[0] == 119 else 3
        if len(raw) != head + int.from_bytes(raw[1:head], "big"):
            raise EtfError("an atom is cut short")
        text = raw[head:].decode("latin-1" if raw[0] == 100 else "utf-8")
        if len(text) > ATOM_CHARACTERS:
            raise EtfError(f"an atom is longer than {ATOM_CHARACTERS} characters")
        if len(self) >= ATOMS_KEPT:
            self.clear()
        atom = self[raw] = Atom(text)
        return atom


_ATOMS: Final = _Atoms()


def _atom_at(data: bytes, pos: int) -> tuple[Atom, int]:
    """An atom of any kind, also inside another term (a node, a module, a function)."""
    tag = data[pos]
    if tag == 119:
        after = pos + 2 + data[pos + 1]
    elif tag in {118, 100}:
        after = pos + 3 + int(_U16(data, pos + 1)[0])
    else:
        raise EtfError("another term stands where an atom belongs")
    return _ATOMS[data[pos:after]], after
