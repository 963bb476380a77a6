"""Terms through a real node: what it holds comes here and goes back as a term that is `=:=` to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.erlang import Atom, BitString, Export, Fun, ImproperList, Map, Pid, Port, Reference, binary_to_term
from bridge.erlang.etf_encode import canonical
from tests.erlang.strategies import terms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from erlang_stubs.beam import Beam
    from tests.erlang.conftest import Net

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
    ("#{(1 bsl 61) - 1 => 1, 0 => 2}", Map),
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


class Echo:
    """A loop and a node for tests that are not coroutines, as those of hypothesis."""

    def __init__(self, net: Net, beam: Beam) -> None:
        self._runner = asyncio.Runner()
        self._node = net.node()
        self._beam = beam.name

    def call(self, module: str, function: str, *args: object) -> object:
        call = self._node.call(self._beam, module, function, args, timeout=20)
        return self._runner.run(call)

    def close(self) -> None:
        self._runner.run(self._node.close())
        self._runner.close()


@pytest.fixture(scope="module")
def echo(net: Net, beam: Beam) -> Iterator[Echo]:
    beam.eval("""persistent_term:put(is_held, fun(Key, Term) -> persistent_term:get(Key) =:= Term end),
        persistent_term:put(decodes_to, fun(Binary, Term) -> binary_to_term(Binary) =:= Term end),
        persistent_term:put(written, fun(Term) -> {Term, term_to_binary(Term), term_to_binary(Term, [compressed])} end)
    """)
    echo = Echo(net, beam)
    yield echo
    echo.close()


@pytest.fixture(scope="module")
def helper(echo: Echo) -> Callable[..., object]:
    def call(name: str, *args: object) -> object:
        fun = echo.call("persistent_term", "get", Atom(name))
        assert isinstance(fun, Fun)  # itself a proof that funs survive the way here and back
        return echo.call("erlang", "apply", fun, list(args))

    return call


@pytest.mark.parametrize(("expression", "kind"), HELD, ids=lambda value: value if isinstance(value, str) else "")
def test_what_a_node_holds_comes_back_as_the_same_term(beam, echo, helper, expression, kind):
    beam.eval(f"persistent_term:put(held, {expression})")
    term = echo.call("persistent_term", "get", Atom("held"))
    assert type(term) is kind
    assert helper("is_held", Atom("held"), term) == "true"


def test_every_term_is_the_same_to_the_node(helper):
    @given(st.lists(terms, min_size=1, max_size=20))
    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    def check(sent: list[object]) -> None:
        came, plain, compressed = helper("written", sent)
        assert canonical(came) == canonical(sent)
        for written in (plain, compressed):
            read = binary_to_term(written)
            assert canonical(read) == canonical(sent)
            assert helper("decodes_to", written, read) == "true"

    check()


def test_a_port_of_64_bits_is_the_same_to_a_node_that_knows_such(beam, helper):
    if int(beam.eval("erlang:system_info(otp_release)").strip('"')) < 26:
        pytest.skip("ports have 28 bits before OTP 26")
    port = Port(Atom("other@localhost"), 2**63 + 5, 2**32 - 1)
    assert helper("written", port)[0] == port
