"""The external term format: each form in both directions, and every trap that other decoders fell into."""

from __future__ import annotations

import gc
import subprocess
import sys
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.erlang import (
    Atom,
    BitString,
    EtfError,
    Export,
    Fun,
    ImproperList,
    Limits,
    Map,
    Pid,
    Port,
    Reference,
    binary_to_term,
    term_to_binary,
)
from bridge.erlang.etf_decode import _ATOMS, ATOMS_KEPT, decode
from bridge.erlang.etf_encode import MAPS_IN_KEYS, canonical
from tests.erlang.fuzz_etf import peak_of
from tests.erlang.strategies import all_terms

HOST = Atom("a@h")

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
    (Fun(b"\x00\x00\x00\x06\x00\x00"), b"p\x00\x00\x00\x06\x00\x00"),
]

# Forms that are read but not written.
OLD_FORMS = [
    (b"d\x00\x02ok", Atom("ok")),
    (b"d\x00\x01\xe9", Atom("é")),
    (b"s\x02ok", Atom("ok")),
    (b"s\x01\xe9", Atom("é")),
    (b"v\x00\x02ok", Atom("ok")),
    (b"n\x01\x00\x07", 7),
    (b"o\x00\x00\x00\x01\x01\x07", -7),
    (b"c" + b"1.50000000000000000000e+00".ljust(31, b"\0"), 1.5),
    (b"gw\x03a@h\x00\x00\x00\x02\x00\x00\x00\x03\x01", Pid(HOST, 2, 3, 1)),
    (b"fw\x03a@h\x00\x00\x00\x02\x03", Port(HOST, 2, 3)),
    (b"ew\x03a@h\x00\x00\x00\x02\x01", Reference(HOST, (2,), 1)),
    (b"r\x00\x02w\x03a@h\x01\x00\x00\x00\x01\x00\x00\x00\x02", Reference(HOST, (1, 2), 1)),
    (b"i\x00\x00\x00\x00", ()),
    (b"k\x00\x00", []),
    (b"l\x00\x00\x00\x00a\x07", 7),
    (b"l\x00\x00\x00\x00j", []),
    (b"l\x00\x00\x00\x01a\x01k\x00\x01\x02", [1, 2]),
    (b"l\x00\x00\x00\x01a\x01l\x00\x00\x00\x01a\x02j", [1, 2]),
    (b"l\x00\x00\x00\x01a\x01l\x00\x00\x00\x01a\x02a\x03", ImproperList([1, 2], 3)),
    (b"M\x00\x00\x00\x01\x08\xa0", b"\xa0"),
]


def same(one: object, other: object) -> bool:
    """Whether two terms are the same to Erlang's =:=, which tells 1 from 1.0 as Python's == does not."""
    return canonical(one) == canonical(other)


@pytest.mark.parametrize(("term", "form"), FORMS, ids=lambda value: repr(value)[:40])
def test_each_form_is_written_and_read(term, form):
    assert term_to_binary(term) == b"\x83" + form
    read = binary_to_term(b"\x83" + form)
    assert same(read, term)
    assert type(read) is type(term)


@pytest.mark.parametrize(("form", "term"), OLD_FORMS, ids=lambda value: repr(value)[:40])
def test_forms_of_older_nodes_and_other_libraries_are_read(form, term):
    assert same(binary_to_term(b"\x83" + form), term)


@given(all_terms)
@settings(max_examples=400)
def test_what_is_written_is_read_as_the_same_term(term):
    assert same(binary_to_term(term_to_binary(term)), term)


@given(all_terms, st.integers(0, 9))
@settings(max_examples=200)
def test_compressed_terms_are_read(term, level):
    body = term_to_binary(term)[1:]
    packed = b"\x83P" + len(body).to_bytes(4, "big") + zlib.compress(body, level)
    assert same(binary_to_term(packed), term)


@given(all_terms)
@settings(max_examples=100)
def test_a_term_that_is_cut_anywhere_is_an_error(term):
    whole = term_to_binary(term)
    for end in range(len(whole)):
        with pytest.raises(EtfError):
            binary_to_term(whole[:end])


@given(all_terms, st.binary(max_size=20))
@settings(max_examples=100)
def test_a_term_that_ends_before_the_bytes_do_says_where(term, after):
    form = term_to_binary(term)[1:]
    read, end = decode(b"before" + form + after, 6)
    assert end == 6 + len(form)
    assert same(read, term)


def test_a_term_may_not_use_bytes_beyond_its_end():
    """As one that is damaged would take them from the next frame."""
    assert decode(b"h\2a\1a\2", 0, end=6) == ((1, 2), 6)
    for end in range(6):
        with pytest.raises(EtfError):
            decode(b"h\2a\1a\2", 0, end=end)


@pytest.mark.parametrize("head", [b"l\0\1\0\0", b"i\0\1\0\0", b"t\0\0\x80\0", b"h\xff"])
def test_what_claims_more_elements_than_there_are_bytes_is_refused_before_they_are_read(head):
    with pytest.raises(EtfError, match="claimed"):
        binary_to_term(b"\x83" + head + b"a\1" * 100)


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"\x83",
        b"w\x01a",  # no 131
        b"\x83a\x01a\x01",  # two terms
        b"\x83w\x03ab",
        b"\x83w\x01\xff",  # no UTF-8
        b"\x83w\x02\xed\xa0",
        b"\x83v\x01\x00" + b"a" * 256,  # 256 characters
        b"\x83d\x01\x00" + b"\xe9" * 256,
        b"\x83n\x01\x02\x01",  # a sign of 2
        b"\x83n\x05\x00\x01",
        b"\x83o\xff\xff\xff\xff\x00\x01",
        b"\x83F\x7f\xf0\x00\x00\x00\x00\x00\x00",  # infinite
        b"\x83F\x7f\xf8\x00\x00\x00\x00\x00\x00",  # no number
        b"\x83c" + b"nan".ljust(31, b"\0"),
        b"\x83c" + b"one".ljust(31, b"\0"),
        b"\x83m\xff\xff\xff\xffabc",
        b"\x83M\x00\x00\x00\x01\x09a",
        b"\x83M\x00\x00\x00\x00\x01",
        b"\x83l\xff\xff\xff\xffa\x01j",  # four billion elements
        b"\x83i\xff\xff\xff\xff",
        b"\x83t\xff\xff\xff\xff",
        b"\x83k\xff\xff",
        b"\x83l\x00\x00\x00\x01a\x01",  # no tail
        b"\x83t\x00\x00\x00\x02w\x01aa\x01w\x01aa\x02",  # a key twice
        b"\x83t\x00\x00\x00\x02h\x00a\x01h\x00a\x02",
        b"\x83Z\x00\x06w\x01a" + bytes(28),  # six words
        b"\x83Z\x00\x00w\x01a" + bytes(28),
        b"\x83Xa\x01" + bytes(12),  # a pid without a node
        b"\x83qw\x01mw\x01fb\x00\x00\x00\x01",
        b"\x83p\x00\x00\x00\x03",
        b"\x83p\xff\xff\xff\xff",
        b"\x83D\x00",  # headers are no terms
        b"\x83y" + bytes(20),  # LOCAL_EXT is for the node alone that wrote it
        b"\x83u" + bytes(20),  # FUN_EXT, which no node has read since OTP 23
        b"\x83\x00",
        b"\x83P\x00\x00\x00\x01",
        b"\x83P\x00\x00\x00\x02not zlib",
    ],
    ids=repr,
)
def test_what_is_no_term_is_an_error(form):
    with pytest.raises(EtfError):
        binary_to_term(form)


@pytest.mark.parametrize(
    "value",
    ["text", None, float("nan"), float("inf"), object(), {1, 2}, Atom("a" * 256)],
    ids=["text", "None", "nan", "inf", "object", "set", "long atom"],
)
def test_a_value_that_no_term_can_hold_is_an_error_that_names_it(value):
    with pytest.raises(EtfError) as failure:
        term_to_binary([value])
    assert type(value).__name__ in str(failure.value) or "finite" in str(failure.value) or "255" in str(failure.value)


def test_python_booleans_are_written_as_atoms():
    assert term_to_binary([True, False]) == term_to_binary([Atom("true"), Atom("false")])


def test_keys_that_python_takes_for_equal_are_kept_apart():
    pairs = [
        (1, b"integer"),
        (1.0, b"float"),
        (Atom("true"), b"atom"),
        (b"true", b"binary"),
        ([1], b"a"),
        ([1.0], b"b"),
    ]
    read = binary_to_term(term_to_binary(Map(pairs)))
    assert len(read) == 6
    assert [read[key] for key, _ in pairs] == [value for _, value in pairs]
    with pytest.raises(KeyError):
        read[2]


def test_a_map_equals_one_with_the_same_pairs_in_any_order():
    pairs = [((), 1), (2.5, [()]), (Atom("x"), {b"y": 1})]
    assert Map(pairs) == Map(pairs[::-1])
    assert Map(pairs) != Map(pairs[:2])
    assert Map([(Atom("x"), 1)]) == {Atom("x"): 1}
    assert canonical({Atom("x"): 1, Atom("y"): 2}) == canonical(Map([(Atom("y"), 2), (Atom("x"), 1)]))


# Traps. Each of these ran for ever, took all memory or ended the interpreter in some decoder.

DEEP = Limits().nesting


def nested(levels: int, head: bytes, tail: bytes = b"") -> bytes:
    return b"\x83" + head * levels + b"j" + tail * levels


@pytest.mark.parametrize(
    ("head", "tail"),
    [(b"l\0\0\0\1", b"j"), (b"h\1", b""), (b"t\0\0\0\1a\1", b""), (b"t\0\0\0\1", b"a\1")],
    ids=["lists", "tuples", "maps in values", "maps in keys"],
)
def test_a_hundred_thousand_levels_are_an_error_and_no_crash(head, tail):
    with pytest.raises(EtfError):
        binary_to_term(nested(100_000, head, tail))


@pytest.mark.parametrize(("head", "tail"), [(b"l\0\0\0\1", b"j"), (b"h\1", b""), (b"t\0\0\0\1a\1", b"")])
def test_the_nesting_that_is_allowed_is_read_and_written(head, tail):
    form = nested(DEEP, head, tail)
    assert term_to_binary(binary_to_term(form)) == form


def test_maps_inside_keys_are_bounded_since_comparing_them_takes_time_for_each_level():
    def form(levels: int) -> bytes:
        return b"\x83" + b"t\0\0\0\1" * levels + b"j" + b"a\1" * levels

    assert isinstance(binary_to_term(form(MAPS_IN_KEYS + 1)), Map)
    with pytest.raises(EtfError, match="key of a map"):
        binary_to_term(form(MAPS_IN_KEYS + 2))
    deep_value = b"\x83t\0\0\0\1h\1" + b"t\0\0\0\1a\1" * 5000 + b"j" + b"a\1"
    with pytest.raises(EtfError, match="key of a map"):
        binary_to_term(deep_value)


def test_the_deepest_terms_harm_nobody_who_uses_them():
    """Hash, ==, repr and the release of the deepest terms end in a result or a RecursionError, never in a crash."""
    program = f"""
from bridge.erlang import binary_to_term, term_to_binary
from bridge.erlang.etf_encode import canonical
import threading
def use():
    for head, tail in [(b"l\\0\\0\\0\\1", b"j"), (b"h\\1", b""), (b"t\\0\\0\\0\\1a\\1", b"")]:
        form = b"\\x83" + head * {DEEP // 2} + b"j" + tail * {DEEP // 2}
        one, other = binary_to_term(form), binary_to_term(form)
        for what in (hash, repr, lambda term: term == other, canonical, term_to_binary):
            try:
                what(one)
            except (RecursionError, TypeError):
                pass
            except Exception as error:
                assert "key of a map" in str(error), error
use()
thread = threading.Thread(target=use)
thread.start()
thread.join()
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.returncode) == ("alive\n", 0), done.stderr[-500:]


def test_a_compressed_term_may_not_claim_or_hold_more_than_the_limit():
    bomb = zlib.compress(b"m" + (10**8).to_bytes(4, "big") + bytes(10**8))
    limits = Limits(inflated=10**6)
    with pytest.raises(EtfError, match="1000000"):
        binary_to_term(b"\x83P" + (10**8 + 5).to_bytes(4, "big") + bomb, limits)
    with pytest.raises(EtfError, match="as long as it claims"):
        binary_to_term(b"\x83P" + (1000).to_bytes(4, "big") + bomb, limits)
    with pytest.raises(EtfError, match="as long as it claims"):
        binary_to_term(b"\x83P" + (10**8 + 6).to_bytes(4, "big") + bomb, Limits(inflated=2 * 10**8))


def test_bytes_after_a_compressed_term_are_an_error():
    packed = b"\x83P" + (2).to_bytes(4, "big") + zlib.compress(b"a\1")
    assert binary_to_term(packed) == 1
    with pytest.raises(EtfError):
        binary_to_term(packed + b"x")


def test_elements_are_bounded_over_all_containers():
    term = term_to_binary([(1, 2), [3, 400], {Atom("a"): [5]}, [1, 2, 3]])
    assert binary_to_term(term, Limits(elements=14))
    with pytest.raises(EtfError):
        binary_to_term(term, Limits(elements=13))


def test_a_list_whose_tails_are_lists_is_one_list():
    """Ten thousand tails of which each was copied took quadratic time."""
    form = b"\x83" + b"l\0\0\0\1a\1" * 200_000 + b"j"
    assert binary_to_term(form) == [1] * 200_000
    assert binary_to_term(b"\x83" + b"l\0\0\0\0" * 200_000 + b"j") == []


def test_atoms_that_are_kept_are_bounded():
    for number in range(ATOMS_KEPT * 2):
        binary_to_term(b"\x83w\x06%06d" % number)
    assert len(_ATOMS) <= ATOMS_KEPT


def test_memory_is_what_was_claimed_for_the_worst_input():
    maps_in_keys = b"t\0\0\0\1" * MAPS_IN_KEYS + b"j" * (MAPS_IN_KEYS + 1)
    for form in (
        b"l" + (20_000).to_bytes(4, "big") + b"j" * 20_001,
        b"l\0\0\x20\0" + b"t\0\0\0\1h\0j" * 8192 + b"j",
        b"l\0\0\x02\0" + maps_in_keys * 512 + b"j",
    ):
        gc.collect()
        assert peak_of(b"\x83" + form) <= 100 * len(form)
