"""The configuration file: its TOML, and the line of every key, which tomllib does not tell."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.config.errors import ConfigError, Problem
from bridge.config.files import find, read

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_FILE: Final = Path("/etc/mongooseim-bridge/config.toml")
_HEADER: Final = re.compile(r"\s*\[(?P<many>\[)?(?P<name>[^\[\]#]+)\]")
_KEY: Final = re.compile(r"\s*(?P<name>[\w.\-\"' ]+?)\s*=")


class Source(NamedTuple):
    """What the file holds."""

    path: Path | None
    """None where there is no file, which is fine if none was named."""
    tables: Mapping[str, object]
    lines: Mapping[str, int]
    """The line of each key and table, by full name; tables of a list have their number, as in "a.b[0].c"."""

    def place(self, key: str) -> str:
        """`FILE:LINE` of a key, of the table around it where it has no line, or just the file."""
        while key and key not in self.lines:
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return f"{self.path}:{self.lines[key]}" if key else str(self.path or "")


def read_source(named: Path | None) -> Source:
    """Read the file that was named, else the default one if there is one; with a byte order mark or without.

    Raises:
        ConfigError: it cannot be read, or is not TOML.
    """
    path = named or DEFAULT_FILE
    data = read(path, "--config") if named else find(path, "--config")
    if data is None:
        return Source(None, {}, {})
    try:
        text = data.decode("utf-8-sig")
        return Source(path, tomllib.loads(text), _lines(text))
    except UnicodeDecodeError as error:
        what, remedy = f"is not UTF-8 text (byte {error.start})", "save it as UTF-8"
        raise ConfigError([Problem(str(path), "", what, remedy)]) from error
    except tomllib.TOMLDecodeError as error:
        what, remedy = f"is not valid TOML: {error}", "a string needs quotes, a table a header like [bridge]"
        raise ConfigError([Problem(str(path), "", what, remedy)]) from error


def _lines(text: str) -> dict[str, int]:
    """Where the keys are; what is inside multi-line values or inline tables has no line of its own."""
    lines: dict[str, int] = {}
    repeated: Counter[str] = Counter()
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _plain(header["name"])
            if header["many"]:
                lines.setdefault(table, number)
                repeated[table] += 1
                table = f"{table}[{repeated[table] - 1}]"
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault(f"{table}.{_plain(key['name'])}".lstrip("."), number)
    return lines


def _plain(name: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in name.split("."))
