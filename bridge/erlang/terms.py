"""Erlang terms as Python values, lossless: what is decoded encodes to a term that is `=:=` to the one in the node.

| Erlang | Python |
|---|---|
| atom, also true and false | `Atom`, a str; True and False are refused |
| integer, float | int, float |
| binary, bit string | bytes, `BitString` |
| tuple, list, improper list, string | tuple, list, `ImproperList`, list of ints |
| map | dict where its keys are atoms, binaries and few integers, else `Map` |
| pid, port, reference | `Pid`, `Port`, `Reference` |
| fun m:f/a, any other fun | `Export`, `Fun` (opaque) |

Source: External Term Format, ERTS User's Guide.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping
from typing import Any, Final, TypeAlias, cast, final

from msgspec import Struct

Term: TypeAlias = Any
"""Any of the values in the table above, which the type system cannot say usefully."""

NESTING: Final = 100
"""Tuples, lists and maps inside each other, when a term is read or written. Python's ==, hash and repr recurse; at this
depth they end, whatever the term is made of."""


@final
class Atom(str):
    """An atom. It equals the str with the same text; only an Atom encodes as an atom."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Atom({str(self)!r})"


@final
class Pid(Struct, frozen=True):
    """A process identifier: the node, its creation, and two numbers that the node chose."""

    node: Atom
    id: int
    serial: int
    creation: int


@final
class Port(Struct, frozen=True):
    """A port identifier; `id` has up to 64 bits."""

    node: Atom
    id: int
    creation: int


@final
class Reference(Struct, frozen=True):
    """A reference of one to five 32-bit words."""

    node: Atom
    ids: tuple[int, ...]
    creation: int


@final
class Export(Struct, frozen=True):
    """An external fun, `fun Module:Function/Arity`."""

    module: Atom
    function: Atom
    arity: int


@final
class Fun(Struct, frozen=True):
    """Any other fun: code that only its node can run. The bytes are kept as they came, to be handed back."""

    raw: bytes


@final
class BitString(Struct, frozen=True):
    """A binary whose last byte has only `bits` (1 to 7) significant bits, the high ones; the others are 0."""

    data: bytes
    bits: int


@final
class ImproperList(Struct, frozen=True):
    """A list with a tail that is not a list: `[1, 2 | 3]` is `ImproperList([1, 2], 3)`."""

    items: list[Term]
    tail: Term


@final
class Map(Mapping[Term, Term]):
    """A map with any terms as keys, told apart as Erlang does: `1`, `1.0` and `true` are three keys.

    Look-up encodes the key, so it is slower than a dict; such maps are rare. Its time does not depend on which keys a
    peer chooses, while integers can be chosen so that a dict takes quadratic time.
    """

    __slots__ = ("entries",)
    entries: dict[bytes, tuple[Term, Term]]
    """The pairs by the canonical form of their keys."""

    def __init__(self, pairs: list[tuple[Term, Term]]) -> None:
        canonical = _canonical()
        self.entries = {canonical(pair[0]): pair for pair in pairs}

    def __getitem__(self, key: Term) -> Term:
        if pair := self.entries.get(_canonical()(key)):
            return pair[1]
        raise KeyError(key)

    def __iter__(self) -> Iterator[Term]:
        return (key for key, _ in self.entries.values())

    def __len__(self) -> int:
        return len(self.entries)

    def items(self) -> ItemsView[Term, Term]:
        """The pairs, without looking each key up again."""
        return cast("ItemsView[Term, Term]", self.entries.values())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, dict):
            other = Map(list(other.items()))
        return isinstance(other, Map) and self.entries == other.entries

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Map({list(self.items())!r})"


def _canonical() -> Callable[[Term], bytes]:
    from bridge.erlang.etf_encode import canonical  # noqa: PLC0415 - the encoder needs this module

    return canonical
