"""Any term that a node can hold, for hypothesis."""

from __future__ import annotations

from hypothesis import strategies as st

from bridge.erlang import Atom, BitString, Export, ImproperList, Map, Pid, Port, Reference

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
atoms = st.one_of(st.sampled_from(["true", "false", "ok", "undefined", ""]), text).map(Atom)
nodes = st.sampled_from([Atom("other@localhost"), Atom("y@host.example.org"), Atom("zoë@localhost")])
creations = st.integers(4, 2**32 - 1)

integers = st.one_of(
    st.integers(),
    st.sampled_from([0, 255, 256, -1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**59, 2**60, 2**64]),
    st.integers(0, 1100).map(lambda bits: 2 ** (2 * bits) - 1),
    st.integers(0, 1100).map(lambda bits: -(2 ** (2 * bits))),
)
floats = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def bit_strings(draw: st.DrawFn) -> BitString:
    bits = draw(st.integers(1, 7))
    last = draw(st.integers(0, 2**bits - 1)) << (8 - bits)
    return BitString(draw(st.binary(max_size=20)) + bytes([last]), bits)


pids = st.builds(Pid, nodes, st.integers(0, 2**15 - 1), st.integers(0, 2**13 - 1), creations)
ports = st.builds(Port, nodes, st.one_of(st.integers(0, 2**28 - 1), st.integers(0, 2**64 - 1)), creations)
references = st.builds(
    Reference,
    nodes,
    st.one_of(
        st.tuples(st.integers(0, 2**18 - 1)),
        st.tuples(st.integers(0, 2**18 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
        st.tuples(st.integers(0, 2**18 - 1), *[st.integers(0, 2**32 - 1)] * 4),
    ),
    creations,
)
exports = st.builds(Export, atoms, atoms, st.integers(0, 255))

tails = st.one_of(
    atoms, integers, floats, st.binary(max_size=40), bit_strings(), pids, references, exports, st.just(())
)
leaves = st.one_of(tails, st.just([]))


def _containers(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.one_of(
        st.lists(inner, max_size=6),
        st.lists(st.integers(0, 255), min_size=1, max_size=20),
        st.lists(inner, max_size=6).map(tuple),
        st.builds(ImproperList, st.lists(inner, min_size=1, max_size=3), tails),
        st.dictionaries(st.one_of(atoms, st.binary(max_size=8), st.integers(-1000, 1000)), inner, max_size=6),
        st.lists(st.tuples(inner, inner), max_size=4).map(Map),
    )


terms = st.recursive(leaves, _containers, max_leaves=30)
all_terms = st.one_of(terms, ports)
"""With ports of up to 64 bits, which OTP 25 refuses beyond 28."""
