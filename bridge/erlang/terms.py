"""Erlang terms as Python values, lossless: what is decoded encodes to a term that is `=:=` to the one in the node.

| Erlang | Python |
|---|---|
| atom, also true and false | `Atom`, a str |
| integer, float | int, float |
| binary, bit string | bytes, `BitString` |
| tuple, list, improper list, string | tuple, list, `ImproperList`, list of ints |
| map | dict where its keys are atoms, binaries and plain integers, else `Map` |
| pid, port, reference | `Pid`, `Port`, `Reference` |
| fun m:f/a, any other fun | `Export`, `Fun` (opaque) |

Source: External Term Format, ERTS User's Guide. Classes are written by hand: importing dataclasses takes as long as
starting Python itself.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from typing import Any, TypeAlias, cast, final

Term: TypeAlias = Any
"""Any of the values in the table above. Terms nest without bound, which the type system cannot say usefully."""


@final
class Atom(str):
    """An atom. It equals the str with the same text; only an Atom encodes as an atom."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Atom({str(self)!r})"


class _Value:
    """What the small immutable values share: equality, hash and repr by their slots."""

    __slots__: tuple[str, ...] = ()

    def _fields(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._fields() == other._fields()

    def __hash__(self) -> int:
        return hash((type(self), *self._fields()))

    def __repr__(self) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__slots__)
        return f"{type(self).__name__}({values})"


@final
class Pid(_Value):
    """A process identifier: the node, its creation, and two numbers that the node chose."""

    __slots__ = ("creation", "id", "node", "serial")

    def __init__(self, node: Atom, id: int, serial: int, creation: int) -> None:  # noqa: A002 - the protocol's word
        self.node = node
        self.id = id
        self.serial = serial
        self.creation = creation


@final
class Port(_Value):
    """A port identifier; `id` has up to 64 bits."""

    __slots__ = ("creation", "id", "node")

    def __init__(self, node: Atom, id: int, creation: int) -> None:  # noqa: A002 - the protocol's word
        self.node = node
        self.id = id
        self.creation = creation


@final
class Reference(_Value):
    """A reference of one to five 32-bit words."""

    __slots__ = ("creation", "ids", "node")

    def __init__(self, node: Atom, ids: tuple[int, ...], creation: int) -> None:
        self.node = node
        self.ids = ids
        self.creation = creation


@final
class Export(_Value):
    """An external fun, `fun Module:Function/Arity`."""

    __slots__ = ("arity", "function", "module")

    def __init__(self, module: Atom, function: Atom, arity: int) -> None:
        self.module = module
        self.function = function
        self.arity = arity


@final
class Fun(_Value):
    """Any other fun: code that only its node can run. The bytes are kept as they came, to be handed back."""

    __slots__ = ("raw",)

    def __init__(self, raw: bytes) -> None:
        self.raw = raw


@final
class BitString(_Value):
    """A binary whose last byte has only `bits` (1 to 7) significant bits, the high ones."""

    __slots__ = ("bits", "data")

    def __init__(self, data: bytes, bits: int) -> None:
        self.data = data
        self.bits = bits


@final
class ImproperList(_Value):
    """A list with a tail that is not a list: `[1, 2 | 3]` is `ImproperList([1, 2], 3)`."""

    __slots__ = ("items", "tail")

    def __init__(self, items: list[Term], tail: Term) -> None:
        self.items = items
        self.tail = tail

    def __hash__(self) -> int:
        from bridge.erlang.etf_encode import canonical  # noqa: PLC0415 - the encoder needs this module

        return hash(canonical(self))


@final
class Map(Mapping[Term, Term]):
    """A map with any terms as keys, told apart as Erlang does: `1`, `1.0` and `true` are three keys.

    Look-up encodes the key, so it is slower than a dict; such maps are rare.
    """

    __slots__ = ("_entries",)

    def __init__(self, pairs: list[tuple[Term, Term]]) -> None:
        from bridge.erlang.etf_encode import canonical  # noqa: PLC0415 - the encoder needs this module

        self._entries = {canonical(key): (key, value) for key, value in pairs}

    def __getitem__(self, key: Term) -> Term:
        from bridge.erlang.etf_encode import canonical  # noqa: PLC0415 - the encoder needs this module

        try:
            return self._entries[canonical(key)][1]
        except KeyError:
            raise KeyError(key) from None

    def __iter__(self) -> Iterator[Term]:
        return (key for key, _ in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def items(self) -> ItemsView[Term, Term]:
        """The pairs, without looking each key up again."""
        return cast("ItemsView[Term, Term]", self._entries.values())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, dict):
            other = Map(list(other.items()))
        if not isinstance(other, Map) or self._entries.keys() != other._entries.keys():
            return False
        return all(value == other._entries[key][1] for key, (_, value) in self._entries.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Map({list(self.items())!r})"
