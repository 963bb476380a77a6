"""Files of terms hold what `file:consult/1` of a real node makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.config.consult import consult
from bridge.config.errors import ConfigError
from bridge.erlang import binary_to_term
from bridge.erlang.terms import Map

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.conftest import Erl

READ = r"""
% what is read
atom. 'quoted atom'. 'a\'b'. 'fun'. function.
"abc". "a" "b"
  "c". "\x41". "\101". "\^A". "\x{e9}". "\e\b\d\f\v\0\s\q\"". "café". "two
lines".
<<"abc">>. << "a\"b" >>. <<"café"/utf8>>.
{}. {a, b, "c"}. [a, [b], {c}]. [a, {b, <<"c">>}].
#{}. #{a => b, "b" => [c]}. #{certfile => "/x"}.
[{server, [{verify, verify_none}]}, {client, [{certs_keys, [#{certfile => "/c", keyfile => "/k"}]}]}].
"""

SKIPPED = r"""
1. -1. + 1. 1_000. 16#1f. 2#1010. 36#Zz. -16#FF. 1.5. -1.5e-3. 1_0.5e+2.
$a. $ . $\n. $\s. $\\. $'. $". $\x41. $\x{1F600}. $\101. $\^A. $%. $,. $]. -$a.
<<>>. <<1,2,255,256>>. <<"a>>", 1, "b" "c">>. <<"café">>. <<1:16>>. <<-1>>. <<$a>>.
fun lists:map/2. fun 'a b':'c'/0.
"""


def read(tmp_path: Path, text: str) -> list[object]:
    path = tmp_path / "terms"
    path.write_text(text, encoding="utf-8")
    return list(consult(path, "bridge.tls"))


def as_read(term: object) -> object:
    """A term of a node as `consult` has it: strings and binaries are texts, maps have what has a text as its key."""
    if isinstance(term, bytes):
        return term.decode()
    if isinstance(term, list) and term and all(isinstance(item, int) for item in term):
        return "".join(map(chr, term))
    if isinstance(term, dict | Map):
        return {as_read(key): as_read(value) for key, value in term.items()}
    return type(term)(map(as_read, term)) if isinstance(term, list | tuple) else term


def test_atoms_texts_and_what_holds_them_are_those_of_file_consult_and_every_other_term_is_stepped_over_as_one(
    tmp_path: Path, erl: Erl
) -> None:
    (tmp_path / "terms").write_text(f"{READ} {SKIPPED}", encoding="utf-8")
    say = f'(fun() -> {{ok, T}} = file:consult("{tmp_path}/terms"), [term_to_binary(E) || E <- T] end)()'
    theirs = [binary_to_term(each.encode("latin-1")) for each in erl(home=tmp_path, say=say)]
    assert (begin := len(read(tmp_path, READ))) > 20
    assert len(theirs) - begin > 30
    assert read(tmp_path, READ) == list(map(as_read, theirs[:begin]))
    assert read(tmp_path, SKIPPED) == [None] * (len(theirs) - begin)


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        ("a", "terms:1", "ends where '.' should be"),
        ("{a.", "terms:1", "'.' where '}' should be"),
        ("a.\n[{b].", "terms:2", "']' where '}' should be"),
        ("a. \n[a | b].", "terms:2", "'|' where a term should be"),
        ("$", "terms:1", "'$' where a term should be"),
        ('"open', "terms:1", "where a term should be"),
        ("Variable.", "terms:1", "'V' where a term should be"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path, text: str, place: str, what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    (problem,) = caught.value.problems
    assert problem.where.endswith(place)
    assert what in problem.what
