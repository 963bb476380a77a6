"""Terms and a real node: what it writes is read here, and what is written here is the same term to it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.erlang import binary_to_term, term_to_binary
from bridge.erlang.etf_encode import canonical
from bridge.erlang.terms import Atom, BitString, Export, Fun, ImproperList, Map, Pid, Port, Reference, Term
from tests.erlang.strategies import terms

if TYPE_CHECKING:
    from erlang_stubs.beam import Beam

# As Erlang writes them, and the type that they have here.
HELD = [
    ("true", Atom),
    ("'a b'", Atom),
    ("'zażółć'", Atom),
    ("1 bsl 4000", int),
    ("-(1 bsl 64)", int),
    ("1.0e-300", float),
    ("-0.0", float),
    ("<<>>", bytes),
    ("<<255, 0, 200>>", bytes),
    ("<<5:3>>", BitString),
    ("<<1, 2, 3:7>>", BitString),
    ("{}", tuple),
    ("list_to_tuple(lists:seq(1, 300))", tuple),
    ("[]", list),
    ("[128, 255, 0]", list),
    ("[1, 2 | 3]", ImproperList),
    ("[1 | 0]", ImproperList),
    ("[1 | false]", ImproperList),
    ("lists:seq(1, 70000)", list),
    ("lists:duplicate(70000, 7)", list),
    ("#{}", dict),
    ("#{true => 1, <<1>> => 2, 1 => 3}", dict),
    ("#{true => 1, 1 => 2, 1.0 => 3}", Map),
    ("#{[] => 1, #{a => b} => 2, {1, [2]} => 3, self() => 4, make_ref() => 5}", Map),
    ("maps:from_list([{I, I} || I <- lists:seq(1, 129)])", Map),
    ("self()", Pid),
    ("whereis(user)", Pid),
    ('list_to_pid("<0.30000.8000>")', Pid),
    ("make_ref()", Reference),
    ("alias()", Reference),
    ("erlang:monitor(process, self())", Reference),
    ("hd(erlang:ports())", Port),
    ("fun lists:map/2", Export),
    ("fun(X) -> X end", Fun),
    ("(fun(A, B) -> fun(C) -> {A, B, C} end end)(1, [two])", Fun),
    ("maps:from_list([{I, I} || I <- lists:seq(1, 100)])", dict),
    ('[{a, [{b, [{c, [<<"x">>, 1.5, $y, "text"]}]}]}]', list),
]


def held(beam: Beam, options: str = "") -> Term:
    """The term that the node holds, from the bytes that it writes."""
    text = beam.eval(f"binary_to_list(binary:encode_hex(term_to_binary(persistent_term:get(held), [{options}])))")
    return binary_to_term(bytes.fromhex(ast.literal_eval(text)))


def binary(term: Term) -> str:
    """The bytes of a term, as Erlang reads them."""
    return f'binary_to_term(binary:decode_hex(<<"{term_to_binary(term).hex()}">>))'


@pytest.mark.parametrize(("expression", "kind"), HELD, ids=lambda value: value if isinstance(value, str) else "")
def test_what_a_node_holds_is_read_and_written_as_the_same_term(beam, expression, kind):
    beam.eval(f"persistent_term:put(held, {expression})")
    for options in ("", "compressed"):
        term = held(beam, options)
        assert type(term) is kind
        assert beam.eval(f"{binary(term)} =:= persistent_term:get(held)") == "true"


def test_every_term_is_the_same_to_the_node(beam):
    @given(st.lists(terms, min_size=1, max_size=20))
    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    def check(written: list[Term]) -> None:
        beam.eval(f"persistent_term:put(held, {binary(written)})")
        assert canonical(held(beam)) == canonical(written)

    check()


def test_a_port_of_64_bits_is_the_same_to_a_node_that_knows_such(beam):
    if int(beam.eval("erlang:system_info(otp_release)").strip('"')) < 26:
        pytest.skip("ports have 28 bits before OTP 26")
    port = Port(Atom("other@localhost"), 2**63 + 5, 2**32 - 1)
    beam.eval(f"persistent_term:put(held, {binary(port)})")
    assert held(beam) == port
