"""The keys that the model declares, one by one: their names in the file and in the environment, types and meanings."""

from __future__ import annotations

from functools import cache
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
    table: type[Struct] | None
    """The section that it is, or of which it is a list; None for a plain value."""
    many: bool
    """Whether its value is a list."""
    choices: tuple[str, ...]
    """The texts that it can be, where it cannot be any."""
    meaning: str
    example: object
    """What it may look like: its default, unless it has none."""

    @property
    def variable(self) -> str:
        """Its environment variable: `bridge.state_dir` is MONGOOSEIM_BRIDGE_STATE_DIR; a key in a list has none."""
        short = self.name.removeprefix(f"{SERVICE}.").removeprefix("bridge.")
        return "" if "[" in short else ENV_PREFIX + short.upper().replace(".", "_")


@cache
def keys_of(table: type[Struct], path: str) -> tuple[Key, ...]:
    """The keys that stand in one table. The annotations are texts, and take a millisecond to evaluate."""
    return tuple(_keys_of(table, path))


def _keys_of(table: type[Struct], path: str) -> Iterator[Key]:
    for info in msgspec.structs.fields(table):
        parts = list(_parts(info.type))
        metas = [part for part in parts if isinstance(part, Meta)]
        yield Key(
            name=f"{path}.{info.name}".lstrip("."),
            field=info.name,
            kind=info.type,
            default=info.default,
            required=info.required,
            table=next((part for part in parts if isinstance(part, type) and issubclass(part, Struct)), None),
            many=any(get_origin(part) is tuple for part in parts),
            choices=next((get_args(part) for part in parts if get_origin(part) is Literal), ()),
            meaning=next((meta.description for meta in metas if meta.description), ""),
            example=next((meta.examples[0] for meta in metas if meta.examples), info.default),
        )


def _parts(kind: object) -> Iterator[object]:
    """A type, and all types and remarks that it is made of."""
    yield kind
    for inner in get_args(kind):
        yield from _parts(inner)


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
