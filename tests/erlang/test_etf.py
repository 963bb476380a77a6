"""The external term format: each form in both directions, and every trap that other decoders fell into."""

from __future__ import annotations

import gc
import time
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.erlang import EtfError, Limits, binary_to_term, term_to_binary
from bridge.erlang.etf_decode import ATOMS_KEPT, MEMORY_FACTOR, UNSALTED_KEYS, decode
from bridge.erlang.etf_encode import INTEGER_BYTES, canonical
from bridge.erlang.terms import NESTING, Atom, BitString, Export, Fun, ImproperList, Map, Pid, Port, Reference
from tests.erlang.fuzz_etf import peak_of, run
from tests.erlang.strategies import FORMS, FUN, HOST, OLD_FORMS, all_terms


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
def test_forms_that_are_not_written_are_read(form, term):
    assert same(binary_to_term(b"\x83" + form), term)


@given(all_terms, st.integers(0, 9), st.binary(max_size=20))
@settings(max_examples=200)
def test_what_is_written_is_read_as_the_same_term_compressed_or_not_and_between_other_bytes(term, level, after):
    form = term_to_binary(term)[1:]
    read, end = decode(b"before" + form + after, 6)
    assert end == 6 + len(form)
    assert same(read, term)
    packed = b"\x83P" + len(form).to_bytes(4, "big") + zlib.compress(form, level)
    assert same(binary_to_term(packed), term)


@given(all_terms)
@settings(max_examples=50)
def test_a_term_that_is_cut_anywhere_is_an_error_though_other_bytes_follow(term):
    """A damaged one would take them from the next frame."""
    whole = term_to_binary(term)
    for end in range(1, len(whole)):
        with pytest.raises(EtfError):
            binary_to_term(whole[:end])
        with pytest.raises(EtfError):
            decode(whole, 1, end=end)


@pytest.mark.parametrize("head", [b"l\0\1\0\0", b"i\0\1\0\0", b"t\0\0\x80\0", b"h\xff"])
def test_what_claims_more_elements_than_there_are_bytes_is_refused_before_they_are_read(head):
    with pytest.raises(EtfError, match="claimed"):
        binary_to_term(b"\x83" + head + b"a\1" * 100)


BROKEN = {
    "another first byte than 131": [b"", b"w\1a"],
    "nothing after it": [b"\x83"],
    "two terms": [b"\x83a\1a\1"],
    "text that is not UTF-8": [b"\x83w\1\xff", b"\x83w\2\xed\xa0"],
    "an atom of 256 characters": [b"\x83v\1\0" + b"a" * 256, b"\x83d\1\0" + b"\xe9" * 256],
    "a sign of 2": [b"\x83n\1\2\1"],
    "a number that ends too early": [b"\x83n\5\0\1", b"\x83o\xff\xff\xff\xff\0\1"],
    "infinite": [b"\x83F\x7f\xf0\0\0\0\0\0\0"],
    "not a number": [b"\x83F\x7f\xf8\0\0\0\0\0\0"],
    "lists whose tail is a list, or the only thing in them": [b"\x83l\0\0\0\1a\1k\0\1\2", b"\x83l\0\0\0\0a\7"],
    "forms that no node has sent since OTP 24": [
        *(b"\x83c" + b"1.5".ljust(31, b"\0"), b"\x83s\2ok", b"\x83gw\3a@h" + bytes(9), b"\x83fw\3a@h" + bytes(5)),
        *(b"\x83ew\3a@h" + bytes(5), b"\x83r\0\1w\3a@h" + bytes(5)),
    ],
    "bytes that are not there": [b"\x83m\xff\xff\xff\xffabc", b"\x83k\xff\xff", b"\x83l\0\0\0\1a\1"],
    "bits of a last byte": [b"\x83M\0\0\0\1\x09a", b"\x83M\0\0\0\1\0a", b"\x83M\0\0\0\0\1"],
    "four billion elements": [b"\x83l\xff\xff\xff\xffa\1j", b"\x83i\xff\xff\xff\xff", b"\x83t\xff\xff\xff\xff"],
    "a key twice": [b"\x83t\0\0\0\2w\1aa\1w\1aa\2", b"\x83t\0\0\0\2h\0a\1h\0a\2"],
    "a reference of 6 words and of none": [b"\x83Z\0\6w\1a" + bytes(28), b"\x83Z\0\0w\1a" + bytes(28)],
    "a pid without a node": [b"\x83Xa\1" + bytes(12)],
    "an arity of 4 bytes": [b"\x83qw\1mw\1fb\0\0\0\1"],
    "a fun": [b"\x83p" + damaged for damaged in (FUN[:-2], FUN.replace(b"\1w", b"\0w"), FUN.replace(b"a\0X", b"jX"))],
    "a header": [b"\x83D\0"],
    "LOCAL_EXT, for the node alone that wrote it": [b"\x83y" + bytes(20)],
    "FUN_EXT, which no node reads since OTP 23": [b"\x83u" + bytes(20)],
    "an unknown tag": [b"\x83\0"],
    "compression": [b"\x83P\0\0\0\1", b"\x83P\0\0\0\2not zlib"],
}


@pytest.mark.parametrize("forms", BROKEN.values(), ids=BROKEN)
def test_bytes_that_do_not_make_a_term_are_an_error(forms):
    for form in forms:
        with pytest.raises(EtfError):
            binary_to_term(form)


CYCLE: list[object] = []
CYCLE.append((CYCLE, {b"key": CYCLE}))
UNWRITABLE = {
    "types": ["text", None, object(), {1, 2}, True, bytearray(b"a")],
    "numbers": [float("nan"), float("inf"), 1 << 8 * INTEGER_BYTES],
    "atoms": [Atom("a" * 256), Atom("\ud800")],
    "pids": [Pid(HOST, *n) for n in [(2**32, 2, 3), (-1, 2, 3), (1, -1, 3), (1, 2, 2**32), (1.5, 2, 3), (None, 2, 3)]],
    "nodes": [Pid(node, 1, 2, 3) for node in (None, 1, b"a@h", Atom("\ud800"))],
    "ports": [Port(HOST, 2**64, 1), Port(HOST, -1, 1), Port(None, 1, 1)],
    "references": [Reference(HOST, ids, 4) for ids in [(), (1,) * 6, (2**32,), (None,), None]],
    "exports": [Export(Atom("m"), Atom("f"), arity) for arity in (256, -1, None)] + [Export(Atom("m"), None, 1)],
    "bit strings": [
        BitString(*f) for f in [(b"a", 0), (b"a", 8), (b"a", 9), (b"a", 300), (b"a", None), (b"", 1), (b"a", 3)]
    ],
    "funs": [Fun(raw) for raw in [b"", b"junk", FUN[:-1], FUN + b"a", FUN.replace(b"a\0X", b"jX"), None]],
    "a fun of 256 variables": [Fun(b"\0\0\2\x36\1" + bytes(20) + b"\0\0\1\0" + FUN[29:-2] + b"a\7" * 256)],
    "one key of a map twice": [{True: 1, Atom("true"): 2}, {(True,): 1, (Atom("true"),): 2}],
    "improper lists": [ImproperList([], 1), ImproperList([1], [2]), ImproperList(None, 1)],
    "cycles": [CYCLE],
}


@pytest.mark.parametrize("values", UNWRITABLE.values(), ids=UNWRITABLE)
def test_a_value_that_no_term_can_hold_is_an_error_before_it_is_sent(values):
    for value in values:
        with pytest.raises(EtfError):
            term_to_binary([value])


def test_the_error_of_a_str_says_its_type_and_what_to_use_for_text():
    with pytest.raises(EtfError, match=r"type str .* text is an Atom, bytes, or a list"):
        term_to_binary({Atom("name"): "text"})


def test_keys_that_python_takes_for_equal_are_kept_apart():
    keys = [1, 1.0, Atom("true"), b"true", [1], [1.0]]
    read = binary_to_term(term_to_binary(Map([(key, place) for place, key in enumerate(keys)])))
    assert [read[key] for key in keys] == [*range(len(read))]
    with pytest.raises(KeyError):
        read[2]


def test_a_map_equals_one_with_the_same_pairs_in_any_order():
    pairs = [((), 1), (2.5, [()]), (Atom("x"), {b"y": 1})]
    assert Map(pairs) == Map(pairs[::-1])
    assert Map(pairs) != Map(pairs[:2])
    assert {Atom("x"): 1} == Map([(Atom("x"), 1)]) == {Atom("x"): 1}
    assert canonical({Atom("x"): 1, Atom("y"): 2}) == canonical(Map([(Atom("y"), 2), (Atom("x"), 1)]))


# Traps. Each of these ran for ever, took all memory or ended the interpreter in some decoder.

DEEP = {
    "lists": (b"l\0\0\0\1", b"j"),
    "tuples": (b"h\1", b""),
    "improper lists": (b"l\0\0\0\1", b"a\1"),
    "values of dicts": (b"t\0\0\0\1a\1", b""),
    "values of maps": (b"t\0\0\0\1j", b""),
    "keys of maps": (b"t\0\0\0\1", b"a\1"),
}


@pytest.mark.parametrize(("head", "tail"), DEEP.values(), ids=DEEP)
def test_nesting_is_bounded(head, tail):
    for levels in (NESTING + 1, 3000, 100_000):
        with pytest.raises(EtfError):
            binary_to_term(b"\x83" + head * levels + b"h\0" + tail * levels)


@pytest.mark.parametrize(("head", "tail"), DEEP.values(), ids=DEEP)
def test_the_deepest_terms_are_read_written_compared_hashed_and_printed(head, tail):
    form = b"\x83" + head * NESTING + b"j" + tail * NESTING
    one, other = binary_to_term(form), binary_to_term(form)
    assert term_to_binary(one) == form
    assert one == other
    assert len(repr(one)) > 2 * NESTING
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
    with pytest.raises(EtfError, match="nested deeper"):
        term_to_binary((one,))


def test_a_nested_fun_counts_as_a_level():
    def fun(inner: bytes) -> bytes:
        return b"p" + (len(FUN) - 2 + len(inner)).to_bytes(4, "big") + FUN[4:-2] + inner

    form = b"a\7"
    for _ in range(NESTING):
        form = fun(form)
    assert term_to_binary(binary_to_term(b"\x83" + form)) == b"\x83" + form
    with pytest.raises(EtfError, match="nested deeper"):
        binary_to_term(b"\x83" + fun(form))


def colliding(bits: int) -> list[int]:
    """Integers for a dict of 2**bits slots: half fill slots that are probed one by one, half walk over them."""
    size = 1 << bits
    chain = [1]
    while len(chain) < size // 3:
        chain.append((5 * chain[-1] + 1) % size)
    taken, early = set(chain), set(chain[: len(chain) // 4])
    walking: list[int] = []
    key = size
    while len(walking) < len(chain) - 10:
        key += 1
        slot, perturb = key % size, key
        while perturb and slot in taken:
            perturb >>= 5
            slot = (5 * slot + perturb + 1) % size
        if not perturb and slot in early:
            walking.append(key)
    return chain + walking


def test_integers_that_collide_in_a_dict_take_no_longer_than_others():
    """The smallest of three, since other programs share the machine; in a dict these take 9 times as long."""

    def spent(keys: list[int]) -> float:
        form = term_to_binary(Map([(key, 1) for key in keys]))
        times = []
        for _ in range(3):
            start = time.process_time()
            read = binary_to_term(form)
            times.append(time.process_time() - start)
        assert [*read] == keys
        return min(times)

    keys = colliding(13)
    assert spent(keys) < 4 * spent([*range(10**6, 10**6 + len(keys))])
    assert type(binary_to_term(term_to_binary(dict.fromkeys(range(UNSALTED_KEYS), 1)))) is dict


def test_a_compressed_term_may_not_claim_or_hold_more_than_the_limit():
    bomb = zlib.compress(b"m" + (10**7).to_bytes(4, "big") + bytes(10**7))
    for claimed, limit, why in [
        (10**7 + 5, 10**6, "1000000"),
        (1000, 10**6, "as long as it claims"),
        (10**7 + 6, 2 * 10**7, "as long as it claims"),
    ]:
        with pytest.raises(EtfError, match=why):
            binary_to_term(b"\x83P" + claimed.to_bytes(4, "big") + bomb, Limits(inflated=limit))
    packed = b"\x83P" + (2).to_bytes(4, "big") + zlib.compress(b"a\1")
    assert binary_to_term(packed) == 1
    with pytest.raises(EtfError):
        binary_to_term(packed + b"x")


def test_elements_are_bounded_over_all_containers():
    term = term_to_binary([(1, 2), [3, 400], {Atom("a"): [5]}, [1, 2, 3]])
    assert binary_to_term(term, Limits(elements=14))
    for limit in range(14):
        with pytest.raises(EtfError):
            binary_to_term(term, Limits(elements=limit))


def test_atoms_are_kept_but_not_for_ever():
    first = binary_to_term(b"\x83w\5first")
    assert binary_to_term(b"\x83w\5first") is first
    for number in range(ATOMS_KEPT):
        binary_to_term(b"\x83w\x06%06d" % number)
    assert binary_to_term(b"\x83w\5first") is not first


def test_memory_and_time_are_bounded_for_the_worst_inputs():
    for form in (
        b"l" + (20_000).to_bytes(4, "big") + b"j" * 20_001,
        b"l\0\0\x20\0" + b"t\0\0\0\1h\0j" * 8192 + b"j",
        b"l\0\0\0\x20" + (b"t\0\0\0\1" * (NESTING - 1) + b"j" * NESTING) * 32 + b"j",
        b"t\0\0\0\1" * NESTING + b"m\0\1\0\0" + bytes(65_536) + b"j" * NESTING,
    ):
        start = time.process_time()
        binary_to_term(b"\x83" + form)
        assert time.process_time() - start < 2, "it takes less than 0.2"
        gc.collect()
        assert peak_of(b"\x83" + form) <= MEMORY_FACTOR * len(form)


def test_mutated_and_random_inputs_give_a_term_or_an_error_within_bounds():
    """A short run of `make fuzz`."""
    outcomes = run(10_000, seed=2025)
    assert min(outcomes["term"], outcomes["error"]) > 1000
    assert outcomes["measured"] >= 200
