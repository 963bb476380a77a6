"""Erlang terms as text, as `file:consult/1` reads them.

    [{client, [{cacertfile, "/etc/ca.pem"}, {certs_keys, [#{certfile => "/etc/cert.pem"}]}, {verify, verify_peer}]}].

Everything that it reads: atoms, numbers in any base, characters, strings and their escapes, strings beside each other,
bit strings of whole bytes, tuples, lists with a tail, maps, `fun m:f/1`.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from bridge.erlang.errors import EtfError
from bridge.erlang.terms import Atom, Export, ImproperList, Map

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.erlang.terms import Term

NESTING: Final = 100

_TOKEN: Final = re.compile(
    r"""(?:\s|%[^\n]*)*
    (?:(?P<atom>[a-z\u00df-\u00f6\u00f8-\u00ff][\w@]*)
      |'(?P<quoted>(?:[^'\\]|\\.)*)'
      |"(?P<string>(?:[^"\\]|\\.)*)"
      |(?P<float>\d[\d_]*\.\d[\d_]*(?:[eE][+-]?\d+)?)
      |(?P<integer>\d[\d_]*(?:\#[0-9a-zA-Z_]+)?)
      |\$(?P<character>\\(?:\^.|x\{[^}]*\}|x..|[0-7]{1,3}|.)|.)
      |(?P<mark><<|>>|=>|[{}\[\],|:/\#+-]|\.(?=\s|%|$))
      |(?P<end>$))""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE: Final = re.compile(
    r"\\(?:\^(?P<control>.)|x\{(?P<braced>[0-9a-fA-F]+)\}|x(?P<hex>[0-9a-fA-F]{2})|(?P<octal>[0-7]{1,3})|(?P<letter>.))",
    re.DOTALL,
)
_LETTERS: Final = {
    "n": "\n", "t": "\t", "r": "\r", "s": " ", "e": "\x1b", "b": "\b", "d": "\x7f", "f": "\f", "v": "\v"
}  # fmt: skip


_T = TypeVar("_T")


class _Token(NamedTuple):
    kind: str
    text: str


def parse_terms(text: str) -> list[Term]:
    """Every term of a text, each ended by a full stop; strings become lists of code points, as Erlang has them.

    Raises:
        EtfError: with the line that cannot be read.
    """
    parser = _Parser(text)
    terms = []
    while parser.token.kind != "end":
        terms.append(parser.term(0))
        parser.expect(".")
    return terms


class _Parser:
    """A descent by one token ahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._pos = 0
        self.token = self._next()

    def _next(self) -> _Token:
        match = _TOKEN.match(self._text, self._pos)
        if not match or not match.lastgroup:
            raise self._error("a character that begins no term")
        self._pos = match.end()
        return _Token(match.lastgroup, match[match.lastgroup])

    def _error(self, what: str) -> EtfError:
        line = self._text.count("\n", 0, self._pos) + 1
        return EtfError(f"line {line} has {what}")

    def _take(self) -> _Token:
        token, self.token = self.token, self._next()
        return token

    def _is(self, mark: str) -> bool:
        """Whether the mark is next; if so, it is passed over."""
        found = self.token == ("mark", mark)
        if found:
            self._take()
        return found

    def expect(self, mark: str) -> None:
        """Pass over a mark that has to be there."""
        if not self._is(mark):
            raise self._error(f"{self.token.text or 'the end'!r} instead of {mark!r}")

    def term(self, depth: int) -> Term:
        if depth > NESTING:
            raise self._error(f"more than {NESTING} levels")
        kind, text = self._take()
        match kind, text:
            case "atom", "fun":
                return self._fun()
            case (("atom" | "quoted"), _):
                return _atom(kind, text)
            case "string", _:
                return list(map(ord, self._string(text)))
            case "mark", "{":
                return tuple(self._items("}", partial(self.term, depth + 1)))
            case "mark", "[":
                return self._list(depth + 1)
            case "mark", "<<":
                return b"".join(self._items(">>", self._segment))
            case "mark", "#":
                self.expect("{")
                return Map(self._items("}", partial(self._pair, depth + 1)))
        return self._number(kind, text)

    def _items(self, closing: str, item: Callable[[], _T]) -> list[_T]:
        items: list[_T] = []
        while not self._is(closing):
            if items:
                self.expect(",")
            items.append(item())
        return items

    def _list(self, depth: int) -> Term:
        items: list[Term] = []
        while not self._is("]"):
            if items and self._is("|"):
                tail = self.term(depth)
                self.expect("]")
                if isinstance(tail, list):
                    return [*items, *tail]
                more, end = (tail.items, tail.tail) if isinstance(tail, ImproperList) else ([], tail)
                return ImproperList([*items, *more], end)
            if items:
                self.expect(",")
            items.append(self.term(depth))
        return items

    def _pair(self, depth: int) -> tuple[Term, Term]:
        key = self.term(depth)
        self.expect("=>")
        return key, self.term(depth)

    def _string(self, first: str) -> str:
        """A string with those right behind it, as in "a" "b"."""
        pieces = [_unescaped(first)]
        while self.token.kind == "string":
            pieces.append(_unescaped(self._take().text))
        return "".join(pieces)

    def _number(self, kind: str, text: str) -> int | float:
        if (kind, text) in {("mark", "-"), ("mark", "+")}:
            number = self._number(*self._take())
            return -number if text == "-" else number
        digits = text.replace("_", "")
        if kind == "character":
            return ord(_unescaped(text))
        if kind == "float":
            return float(digits)
        if kind == "integer":
            base, _, based = digits.rpartition("#")
            try:
                return int(based, int(base or 10))
            except ValueError:
                pass
        raise self._error(f"{text or 'the end'!r} where a term should be")

    def _segment(self) -> bytes:
        """A part of a binary: a string or a number, with a size in bits or as UTF-8."""
        kind, text = self._take()
        characters = self._string(text) if kind == "string" else [self._number(kind, text)]
        codes = [ord(each) if isinstance(each, str) else int(each) for each in characters]
        size = int(self._number(*self._take())) if self._is(":") else 8
        if self._is("/"):
            if self._take() != ("atom", "utf8"):
                raise self._error("a type of a binary other than utf8")
            return "".join(map(chr, codes)).encode()
        if size % 8:
            raise self._error("a binary that is not made of whole bytes")
        return b"".join((code % (1 << size)).to_bytes(size // 8, "big") for code in codes)

    def _fun(self) -> Export:
        module = _atom(*self._take())
        self.expect(":")
        function = _atom(*self._take())
        self.expect("/")
        return Export(module, function, int(self._number(*self._take())))


def _atom(kind: str, text: str) -> Atom:
    return Atom(_unescaped(text) if kind == "quoted" else text)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    kind, text = str(match.lastgroup), match[str(match.lastgroup)]
    if kind == "control":
        return chr(ord(text) % 32)
    if kind == "letter":
        return _LETTERS.get(text, text)
    return chr(int(text, 8 if kind == "octal" else 16))
