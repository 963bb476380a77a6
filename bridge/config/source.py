"""The configuration file: its TOML, and the line of every key, which tomllib does not tell."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.config.errors import ConfigError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_HEADER: Final = re.compile(r"\s*\[(?P<many>\[)?(?P<name>[^\[\]#]+)\]")
_KEY: Final = re.compile(r"\s*(?P<name>[\w.\-\"' ]+?)\s*=")


def parse(path: Path, data: bytes) -> tuple[Source, dict[str, object]]:
    """The lines and the content of a TOML file, with a byte order mark or without.

    Raises:
        ConfigError: it is not one.
    """
    try:
        text = data.decode("utf-8-sig")
        return Source.read(str(path), text), tomllib.loads(text)
    except UnicodeDecodeError as error:
        what, remedy = f"is not UTF-8 text (byte {error.start})", "save it as UTF-8"
        raise ConfigError([Problem(str(path), "", what, remedy)]) from error
    except tomllib.TOMLDecodeError as error:
        what, remedy = f"is not valid TOML: {error}", "a string needs quotes, a table a header like [bridge]"
        raise ConfigError([Problem(str(path), "", what, remedy)]) from error


@dataclass(frozen=True, slots=True)
class Source:
    """The file as text, to tell the line of a key."""

    name: str
    lines: Mapping[str, int]
    """The line of each key and table, by full name; tables of a list have their index, as in "a.b[0].c"."""

    @classmethod
    def read(cls, name: str, text: str) -> Source:
        """Find where the keys are; what is inside multi-line values or inline tables has no line of its own."""
        found: dict[str, int] = {}
        repeated: Counter[str] = Counter()
        table = ""
        for number, line in enumerate(text.splitlines(), 1):
            if header := _HEADER.match(line):
                table = _plain(header["name"])
                if header["many"]:
                    found.setdefault(table, number)
                    repeated[table] += 1
                    table = f"{table}[{repeated[table] - 1}]"
                found.setdefault(table, number)
            elif key := _KEY.match(line):
                found.setdefault(f"{table}.{_plain(key['name'])}".lstrip("."), number)
        return cls(name, found)

    def place(self, key: str) -> str:
        """`FILE:LINE` of a key, of the table around it where it has no line, or just the file."""
        while key and key not in self.lines:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return f"{self.name}:{self.lines[key]}" if key else self.name


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
