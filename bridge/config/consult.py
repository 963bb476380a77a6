r"""Files of Erlang terms, as `file:consult/1` reads them, as far as somebody wants to know what they hold.

    [{client, [{cacertfile, "/etc/ca.pem"}, {certs_keys, [#{certfile => "/etc/cert.pem"}]}, {verify, verify_peer}]}].

Atoms and texts are read as what they are, lists, tuples and maps as what is in them. Numbers, characters, other
binaries and funs are stepped over: no option that matters here has one. So are commas and arrows, since a node that
runs has read the file itself.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from bridge.config.errors import ConfigError, Problem
from bridge.config.files import read
from bridge.erlang.terms import Atom

if TYPE_CHECKING:
    from pathlib import Path

Term: TypeAlias = Atom | str | tuple["Term", ...] | list["Term"] | dict[str, "Term"] | None
"""A string or a binary is a text; of a map there are the keys that are texts; None is what was stepped over."""

_STRING: Final = r'"(?:[^"\\]|\\.)*"'
_ATOM: Final = r"(?:[a-z\u00df-\u00f6\u00f8-\u00ff][\w@]*|'(?:[^'\\]|\\.)*')"
_TOKEN: Final = re.compile(
    rf"""(?P<blank>\s+|%[^\n]*|,|=>)
      |(?P<other>[+-]?\s*\d[\d_]*(?:\.\d[\d_]*(?:[eE][+-]?\d+)?|\#\w+)?                   # a number
                |[+-]?\s*\$(?:\\(?:\^.|x\{{[^}}]*\}}|x..|[0-7]{{1,3}}|.)|.)                 # a character
                |fun\s+{_ATOM}\s*:\s*{_ATOM}\s*/\s*\d+)
      |(?P<text>{_STRING}(?:\s*{_STRING})*)
      |<<\s*(?P<binary>{_STRING})\s*(?P<utf8>/\s*utf8\s*)?>>
      |(?P<bits><<(?:{_STRING}|[^">]|>(?!>))*>>)
      |(?P<atom>{_ATOM})
      |(?P<opening>\#\{{|\{{|\[)
      |(?P<closing>\}}|\]|\.(?=\s|%|$))
      |(?P<unknown>.)""",
    re.VERBOSE | re.DOTALL,
)
_CLOSING: Final = {"{": "}", "[": "]", "#{": "}", "": "."}
_ESCAPE: Final = re.compile(
    r"\\(\^.|x\{0*(?:10|[0-9a-fA-F])?[0-9a-fA-F]{1,4}\}|x[0-9a-fA-F]{2}|[0-7]{1,3}|.)", re.DOTALL
)
_LETTERS: Final = {
    "n": "\n", "t": "\t", "r": "\r", "s": " ", "e": "\x1b", "b": "\b", "d": "\x7f", "f": "\f", "v": "\v"
}  # fmt: skip


def consult(path: Path, key: str) -> list[Term]:
    """Every term of a file, up to its last full stop.

    Args:
        path: the file.
        key: the key of the configuration that names it.

    Raises:
        ConfigError: it cannot be read, or is not a list of terms; with the line.
    """

    def error(what: str, end: int) -> ConfigError:
        remedy = "`file:consult/1` has to be able to read it; a list with a tail is not read here"
        return ConfigError([Problem(f"{path}:{text.count(chr(10), 0, end) + 1}", key, what, remedy)])

    text = read(path, key).decode(errors="surrogateescape")
    terms: list[Term] = []
    open_ones: list[tuple[str, list[Term]]] = [("", [])]
    for token in _TOKEN.finditer(text):
        opening, items = open_ones[-1]
        if token["opening"]:
            open_ones.append((token[0], []))
        elif token["closing"]:
            if token[0] != _CLOSING[opening]:
                raise error(f"has {token[0]!r} where {_CLOSING[opening]!r} should be", token.end())
            if opening:
                open_ones.pop()
                open_ones[-1][1].append(_whole(opening, items))
            else:
                terms += items
                items.clear()
        elif token["unknown"]:
            raise error(f"has {token[0]!r} where a term should be", token.end())
        elif not token["blank"]:
            items.append(_plain(token))
    if open_ones != [("", [])]:
        raise error(f"ends where {_CLOSING[open_ones[-1][0]]!r} should be", len(text))
    return terms


def _whole(opening: str, items: list[Term]) -> Term:
    """A list, a tuple or a map of what is between its brackets."""
    if opening == "#{":
        pairs = zip(items[0::2], items[1::2], strict=False)
        return {key: value for key, value in pairs if isinstance(key, str)}
    return tuple(items) if opening == "{" else items


def _plain(token: re.Match[str]) -> Term:
    if token["atom"]:
        return Atom(_unescaped(token[0][1:-1]) if token[0].startswith("'") else token[0])
    if token["text"]:
        return "".join(_unescaped(string[1:-1]) for string in re.findall(_STRING, token[0], re.DOTALL))
    if token["binary"]:
        text = _unescaped(token["binary"][1:-1])
        return text if token["utf8"] or text.isascii() else None
    return None


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    escape = match[1]
    if escape[0] in "01234567":
        return chr(int(escape, 8))
    if escape[0] == "x" and len(escape) > 1:
        return chr(int(escape[1:].strip("{}"), 16))
    return chr(ord(escape[1]) % 32) if escape[0] == "^" else _LETTERS.get(escape, escape)
