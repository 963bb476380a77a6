"""Terms for tests: each form of the format, and for hypothesis any term that a node can hold."""

from __future__ import annotations

from hypothesis import strategies as st

from bridge.erlang import Atom, BitString, Export, Fun, ImproperList, Map, Pid, Port, Reference

HOST = Atom("a@h")
FUN = b"\0\0\0\x38\1" + bytes(20) + b"\0\0\0\1w\1ma\0a\0Xw\3a@h" + bytes(12) + b"a\7"
"""A fun with one free variable, 7."""

# What each term is in bytes, after 131; the other direction gives the same bytes.
FORMS = [
    (Atom("ok"), b"w\x02ok"),
    (Atom(""), b"w\x00"),
    (Atom("é" * 200), b"v\x01\x90" + "é".encode() * 200),
    (0, b"a\x00"),
    (255, b"a\xff"),
    (256, b"b\x00\x00\x01\x00"),
    (-1, b"b\xff\xff\xff\xff"),
    (-(2**31), b"b\x80\x00\x00\x00"),
    (2**31, b"n\x04\x00\x00\x00\x00\x80"),
    (-(2**31) - 1, b"n\x04\x01\x01\x00\x00\x80"),
    (2**2040 - 1, b"n\xff\x00" + b"\xff" * 255),
    (2**2040, b"o\x00\x00\x01\x00\x00" + b"\0" * 255 + b"\x01"),
    (1.5, b"F\x3f\xf8\x00\x00\x00\x00\x00\x00"),
    (-0.0, b"F\x80\x00\x00\x00\x00\x00\x00\x00"),
    (b"", b"m\x00\x00\x00\x00"),
    (b"\x00\xff", b"m\x00\x00\x00\x02\x00\xff"),
    (BitString(b"\xa0", 3), b"M\x00\x00\x00\x01\x03\xa0"),
    ((), b"h\x00"),
    ((1, ()), b"h\x02a\x01h\x00"),
    ((0,) * 256, b"i\x00\x00\x01\x00" + b"a\x00" * 256),
    ([], b"j"),
    ([[]], b"l\x00\x00\x00\x01jj"),
    ([1, 200], b"k\x00\x02\x01\xc8"),
    ([1, 256], b"l\x00\x00\x00\x02a\x01b\x00\x00\x01\x00j"),
    (ImproperList([1], 0), b"l\x00\x00\x00\x01a\x01a\x00"),
    (ImproperList([1], Atom("false")), b"l\x00\x00\x00\x01a\x01w\x05false"),
    ({}, b"t\x00\x00\x00\x00"),
    ({Atom("a"): 1}, b"t\x00\x00\x00\x01w\x01aa\x01"),
    (Map([((), [])]), b"t\x00\x00\x00\x01h\x00j"),
    (Pid(HOST, 2, 3, 4), b"Xw\x03a@h\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x04"),
    (Port(HOST, 2, 4), b"Yw\x03a@h\x00\x00\x00\x02\x00\x00\x00\x04"),
    (Port(HOST, 2**40, 4), b"xw\x03a@h\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x04"),
    (Reference(HOST, (1,), 4), b"Z\x00\x01w\x03a@h\x00\x00\x00\x04\x00\x00\x00\x01"),
    (
        Reference(HOST, (1, 2, 3, 4, 5), 4),
        b"Z\x00\x05w\x03a@h" + bytes([0, 0, 0, 4]) + b"".join(bytes([0, 0, 0, n]) for n in range(1, 6)),
    ),
    (Export(Atom("m"), Atom("f"), 2), b"qw\x01mw\x01fa\x02"),
    (Fun(FUN), b"p" + FUN),
]

# Forms that are read but not written: OTP 25 sends the first ones.
OLD_FORMS = [
    (b"d\x00\x02ok", Atom("ok")),
    (b"d\x00\x01\xe9", Atom("é")),
    (b"v\x00\x02ok", Atom("ok")),
    (b"n\x01\x00\x07", 7),
    (b"o\x00\x00\x00\x01\x01\x07", -7),
    (b"i\x00\x00\x00\x00", ()),
    (b"k\x00\x00", []),
    (b"l\x00\x00\x00\x00j", []),
    (b"M\x00\x00\x00\x01\x08\xa0", b"\xa0"),
    (b"M\x00\x00\x00\x01\x03\xbf", BitString(b"\xa0", 3)),
]

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)
atoms = st.one_of(st.sampled_from(["true", "false", "ok", "undefined", ""]), text).map(Atom)
nodes = st.sampled_from([Atom("other@localhost"), Atom("y@host.example.org"), Atom("zoë@localhost")])
words = st.integers(0, 2**32 - 1)

powers = st.builds(
    lambda sign, bits, near: sign * (1 << bits) + near,
    st.sampled_from([1, -1]),
    st.integers(0, 2200),
    st.integers(-1, 1),
)
integers = st.one_of(st.integers(), powers)
floats = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def bit_strings(draw: st.DrawFn) -> BitString:
    bits = draw(st.integers(1, 7))
    last = draw(st.integers(0, 2**bits - 1)) << (8 - bits)
    return BitString(draw(st.binary(max_size=20)) + bytes([last]), bits)


pids = st.builds(Pid, nodes, words, words, words)
ports = st.builds(Port, nodes, st.one_of(st.integers(0, 2**28 - 1), st.integers(0, 2**64 - 1)), words)
references = st.builds(Reference, nodes, st.lists(words, min_size=1, max_size=5).map(tuple), words)
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
