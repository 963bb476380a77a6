"""The keys that the model declares, one by one: their names in the file and in the environment, types and meanings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec import Meta, Struct

from bridge.config.model import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ENV_PREFIX: Final = "MONGOOSEIM_BRIDGE_"
CONFIG_VARIABLE: Final = f"{ENV_PREFIX}CONFIG"
DO_NOT_TRACK: Final = "DO_NOT_TRACK"
SERVICE: Final = "services.service_mongoose_system_metrics"
BRIDGE_REPORT: Final = "bridge.report"
COOKIE: Final = "bridge.cookie"


class Key(NamedTuple):
    """A key of the configuration, or a table of keys."""

    name: str
    """In full, as in "bridge.tls.verify"; of a list of tables as in "bridge.destinations[0].endpoint"."""
    field: str
    """The last part of it."""
    kind: object
    default: object
    required: bool

    @property
    def variable(self) -> str:
        """Its environment variable: `bridge.state_dir` is MONGOOSEIM_BRIDGE_STATE_DIR; a key in a list has none."""
        short = self.name.removeprefix(f"{SERVICE}.").removeprefix("bridge.")
        return "" if "[" in short else ENV_PREFIX + short.upper().replace(".", "_")

    @property
    def meaning(self) -> str:
        """What the model says of it."""
        return next((meta.description for meta in self._metas if meta.description), "")

    @property
    def example(self) -> object:
        """What it may look like."""
        return next((meta.examples[0] for meta in self._metas if meta.examples), self.default)

    @property
    def choices(self) -> tuple[str, ...]:
        """The texts that it can be, where it cannot be any."""
        return next((get_args(kind) for kind in _inside(self.kind) if get_origin(kind) is Literal), ())

    @property
    def many(self) -> bool:
        """Whether its value is a list."""
        return any(get_origin(kind) is tuple for kind in _inside(self.kind))

    @property
    def table(self) -> type[Struct] | None:
        """The section that it is, or of which it is a list; None for a plain value."""
        return next((kind for kind in _inside(self.kind) if isinstance(kind, type) and issubclass(kind, Struct)), None)

    @property
    def names_secret(self) -> bool:
        """Whether its value is the path of a file with a secret."""
        return any(meta.extra and "secret" in meta.extra for meta in self._metas)

    @property
    def _metas(self) -> Iterator[Meta]:
        return (kind for kind in _inside(self.kind) if isinstance(kind, Meta))


def _inside(kind: object) -> Iterator[object]:
    """A type and all types and remarks that it is made of."""
    yield kind
    for inner in get_args(kind):
        yield from _inside(inner)


def keys_of(table: type[Struct], path: str) -> Iterator[Key]:
    """The keys that stand in one table."""
    for info in msgspec.structs.fields(table):
        yield Key(f"{path}.{info.name}".lstrip("."), info.name, info.type, info.default, info.required)


def keys(table: type[Struct] = Settings, path: str = "") -> Iterator[Key]:
    """Every key that has a plain value, in the order of the model; `[]` stands for the number in a list of tables."""
    for key in keys_of(table, path):
        if key.table:
            yield from keys(key.table, f"{key.name}[]" if key.many else key.name)
        else:
            yield key


def values(table: Struct, path: str = "") -> Iterator[tuple[Key, object]]:
    """Every key with its value; the tables of a list with their number."""
    for key in keys_of(type(table), path):
        value = getattr(table, key.field)
        if isinstance(value, Struct):
            yield from values(value, key.name)
        elif key.table:
            for number, item in enumerate(value):
                yield from values(item, f"{key.name}[{number}]")
        else:
            yield key, value
