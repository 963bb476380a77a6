"""Erlang terms as text, as in a file for `file:consult/1`.

    [{client, [{cacertfile, "/etc/ca.pem"}, {verify, verify_peer}]}].

Only what configuration files hold: atoms, integers, floats, strings, binaries of text, tuples, lists, comments.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bridge.erlang.errors import EtfError
from bridge.erlang.terms import Atom

if TYPE_CHECKING:
    from bridge.erlang.terms import Term

NESTING: Final = 100

_TOKEN: Final = re.compile(
    r"""(?:\s|%[^\n]*)*
    (?:(?P<atom>[a-z\u00df-\u00f6\u00f8-\u00ff][\w@]*)
      |'(?P<quoted>(?:[^'\\]|\\.)*)'
      |<<\s*"(?P<binary>(?:[^"\\]|\\.)*)"\s*(?:/utf8)?\s*>>
      |"(?P<string>(?:[^"\\]|\\.)*)"
      |(?P<float>[+-]?\d+\.\d+(?:[eE][+-]?\d+)?)
      |(?P<integer>[+-]?\d+)
      |(?P<mark>[{}\[\],]|\.(?=\s|%|$))
      |(?P<end>$))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "s": " ", "e": "\x1b", "0": "\0"}
_CLOSING: Final = {"{": "}", "[": "]"}


def parse_terms(text: str) -> list[Term]:
    """Every term of a text, each ended by a full stop; strings become lists of code points, as Erlang has them.

    Raises:
        EtfError: with the line that is no term.
    """
    parser = _Parser(text)
    terms = []
    while (token := parser.next()) != ("end", ""):
        terms.append(parser.term(token, 0))
        parser.expect(".")
    return terms


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._pos = 0

    def next(self) -> tuple[str, str]:
        match = _TOKEN.match(self._text, self._pos)
        if not match or not match.lastgroup:
            raise self._error("what is no term")
        self._pos = match.end()
        return match.lastgroup, match[match.lastgroup]

    def expect(self, mark: str) -> None:
        if self.next() != ("mark", mark):
            raise self._error(f"no {mark!r} where one was due")

    def _error(self, what: str) -> EtfError:
        line = self._text.count("\n", 0, self._pos) + 1
        return EtfError(f"line {line} has {what}")

    def term(self, token: tuple[str, str], depth: int) -> Term:
        kind, text = token
        if kind == "atom":
            return Atom(text)
        if kind == "quoted":
            return Atom(_unescaped(text))
        if kind == "string":
            return [ord(letter) for letter in _unescaped(text)]
        if kind == "binary":
            return _unescaped(text).encode()
        if kind == "integer":
            return int(text)
        if kind == "float":
            return float(text)
        if text in _CLOSING and depth < NESTING:
            items = self._items(_CLOSING[text], depth + 1)
            return tuple(items) if text == "{" else items
        raise self._error(f"{text!r} where a term was due" if text else "an end where a term was due")

    def _items(self, closing: str, depth: int) -> list[Term]:
        items: list[Term] = []
        token = self.next()
        while token != ("mark", closing):
            items.append(self.term(token, depth))
            token = self.next()
            if token == ("mark", ","):
                token = self.next()
            elif token != ("mark", closing):
                raise self._error(f"neither ',' nor {closing!r} after an element")
        return items


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text, flags=re.DOTALL)
