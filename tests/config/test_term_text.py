"""Terms as text are what `file:consult/1` of a real node makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.config.term_text import NESTING, parse_terms
from bridge.erlang import binary_to_term
from bridge.erlang.errors import EtfError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.config.conftest import Erl

TERMS = r"""
% every kind
atom. 'quoted atom'. 'a\'b'. 'fun'.
1. -1. + 1. 1_000. 16#1f. 2#1010. 36#Zz. -16#FF. 1.5. -1.5e-3. 1_0.5e+2.
$a. $ . $\n. $\s. $\\. $'. $". $\x41. $\x{1F600}. $\101. $\^A. $%.
"". "abc". "a" "b"
  "c". "\x41". "\101". "\^A". "\x{e9}". "\e\b\d\f\v\0\s\q\"". "café". "two
lines".
<<>>. <<"abc">>. <<1,2,255,256>>. <<"a", 1, "b" "c">>. <<"café"/utf8>>. <<"café">>. <<1:16>>. <<-1>>. <<$a>>.
{}. {a, 1, "b"}. [a, [b], {c}]. [a | b]. [a, b | [c]]. [a | [b | c]].
#{}. #{a => 1, "b" => [2]}. #{certfile => "/x"}.
fun lists:map/2. fun 'a b':'c'/0.
[{server, [{verify, verify_none}]}, {client, [{certs_keys, [#{certfile => "/c", keyfile => "/k"}]}]}].
"""


def test_every_kind_of_term_is_that_of_file_consult(tmp_path: Path, erl: Erl) -> None:
    path = tmp_path / "terms"
    path.write_text(TERMS, encoding="utf-8")
    say = f'(fun() -> {{ok, T}} = file:consult("{path}"), [term_to_binary(E) || E <- T] end)()'
    theirs = [binary_to_term(each.encode("latin-1")) for each in erl(home=tmp_path, say=say)]
    ours = parse_terms(TERMS)
    assert len(ours) > 50
    assert ours == theirs


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a", "line 1"),
        ("a.\n{b,}.", "line 2"),
        ("[a b].", "'b'"),
        ("{a.", "'.'"),
        ("a b.", "'b'"),
        ("16#zz.", "16#zz"),
        ("$", "no term"),
        ("<<a>>.", "'a'"),
        ("<<1:3>>.", "whole bytes"),
        ("#{a}.", "'=>'"),
        ('"open', "no term"),
        ("Variable.", "no term"),
        ("[" * (NESTING + 2) + "]" * (NESTING + 2) + ".", "levels"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(text: str, line: str) -> None:
    with pytest.raises(EtfError, match="line ") as caught:
        parse_terms(text)
    assert line in str(caught.value)
