"""Mutated and random inputs to the term decoder: `python -m tests.erlang.fuzz_etf --inputs 1000000`.

For every input: a term or an EtfError and nothing else, CPU time linear in its length; a term is written and read
again as the same. For one in `SAMPLE`, which is slower to measure, the memory is bounded by MEMORY_FACTOR as well.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
import tracemalloc
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Final

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
from bridge.erlang.etf_decode import MEMORY_FACTOR
from bridge.erlang.etf_encode import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE: Final = 50
LONGEST: Final = 8192
LIMITS: Final = Limits(nesting=500, elements=100_000, inflated=100_000)
SLOW: Final = 1.0
"""Seconds of CPU time for the longest input, some hundred times what it takes: only what is not linear gets there."""
OVERHEAD: Final = 64_000
"""Bytes that decoding takes for itself: the interpreter's stack grows in pieces of 16 KiB, and atoms are kept."""

HOST: Final = Atom("a@h")
SEEDS: Final = [
    term_to_binary(term)
    for term in (
        [Atom("ok"), Atom("é" * 200), Atom("")],
        [0, 255, 256, -1, 2**31, -(2**70), 2**2048],
        [1.5, -0.0, 1e300],
        (b"", b"abc" * 50, BitString(b"\xa0", 3)),
        {Atom("key"): [1, 2, 3], b"bin": {}, 7: ()},
        Map([((1, 2.5), [HOST]), ([], Map([({}, 1)])), (2**80, 1)]),
        ImproperList([1, [2], (3,)], Atom("tail")),
        [Pid(HOST, 1, 2, 3), Port(HOST, 7, 9), Port(HOST, 2**40, 9), Reference(HOST, (1, 2, 3), 4)],
        [Export(Atom("m"), Atom("f"), 3), Fun(b"\0\0\0\x08abcd")],
        list(range(200)),
        list(range(200, 600)),
        [(Atom("name"), b"value", [{Atom("deep"): [[[[1]]]]}])] * 20,
    )
] + [
    b"\x83" + form
    for form in (
        b"d\0\2ok",
        b"s\2ok",
        b"c1.50000000000000000000e+00\0\0\0\0\0",
        b"gw\3a@h\0\0\0\2\0\0\0\3\1",
        b"fw\3a@h\0\0\0\2\3",
        b"ew\3a@h\0\0\0\2\1",
        b"r\0\2w\3a@h\1\0\0\0\1\0\0\0\2",
        b"l\0\0\0\1a\1l\0\0\0\1a\2a\3",
        b"l\0\0\0\1" * 300 + b"j" * 301,
        b"t\0\0\0\1" * 20 + b"j" * 21,
    )
]
INTERESTING: Final = [b"\0", b"\xff", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"\0\0\0\0", b"\0\0\xff\xff"]
INTERESTING += [bytes([tag]) for tag in (68, 69, 70, 77, 80, *range(88, 91), *range(97, 122), 131)]


def inputs(count: int, seed: int) -> Iterator[bytes]:
    """Inputs, the same for the same seed."""
    chance = random.Random(seed)
    for _ in range(count):
        kind = chance.random()
        if kind < 0.1:
            yield b"\x83" + chance.randbytes(int(chance.expovariate(1 / 40)))
        elif kind < 0.2:
            body = _mutated(chance.choice(SEEDS), chance)[1:]
            claim = len(body) if chance.random() < 0.7 else chance.choice([0, 1, len(body) + 1, 10**6, 2**32 - 1])
            packed = b"\x83P" + claim.to_bytes(4, "big") + zlib.compress(body, 1)
            yield _mutated(packed, chance) if chance.random() < 0.5 else packed
        else:
            yield _mutated(chance.choice(SEEDS), chance)


def _mutated(seed: bytes, chance: random.Random) -> bytes:
    data = bytearray(seed)
    for _ in range(1 + int(chance.expovariate(0.7))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(8):
            case 0 | 1 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                data[at : at + 1] = chance.choice(INTERESTING)
            case 3:
                piece = chance.choice(INTERESTING)
                data[at : at + len(piece)] = piece
            case 4:
                del data[at : at + chance.randrange(1, 9)]
            case 5:
                data[at:at] = data[at : at + chance.randrange(1, 40)]
            case 6:
                other = chance.choice(SEEDS)
                data[at:] = other[chance.randrange(len(other)) :]
            case 7:
                # a whole term in place of another's beginning, which keeps more inputs well formed
                data[at:at] = chance.choice(SEEDS)[1:]
            case _:
                pass
    return bytes(data[:LONGEST])


def check(data: bytes) -> str:
    """Decode one input; "term" or "error".

    Raises:
        AssertionError: a bound was passed, or a term was not the same when read again.
    """
    start = time.process_time()
    try:
        term = binary_to_term(data, LIMITS)
    except EtfError:
        outcome = "error"
    else:
        outcome = "term"
    spent = time.process_time() - start
    assert spent < SLOW, f"{spent:.2f} s for {len(data)} bytes"
    if outcome == "term":
        again = binary_to_term(term_to_binary(term), LIMITS)
        try:
            assert canonical(again) == canonical(term), "not the same when written and read again"
        except EtfError:
            outcome = "term of many maps"  # more of them inside each other than can be compared
    return outcome


def peak_of(data: bytes) -> int:
    """The most bytes that were allocated at a time while decoding."""
    tracemalloc.start()
    try:
        binary_to_term(data, LIMITS if len(data) <= LONGEST else Limits())
    except EtfError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def run(count: int, seed: int) -> Counter[str]:
    """Check `count` inputs; how many gave what.

    Raises:
        AssertionError: with the input that failed.
    """
    outcomes: Counter[str] = Counter()
    for number, data in enumerate(inputs(count, seed)):
        try:
            outcomes[check(data)] += 1
            if number % SAMPLE == 0:
                outcomes["measured"] += 1
                peak = peak_of(data)
                inflated = LIMITS.inflated if data[1:2] == b"P" else 0
                bound = MEMORY_FACTOR * (len(data) + inflated) + OVERHEAD
                assert peak <= bound, f"{peak} bytes for {len(data)}"
        except Exception as error:
            raise AssertionError(f"input {number} of seed {seed}, {data.hex()}: {error!r}") from error
    return outcomes


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    start = time.monotonic()
    try:
        outcomes = run(options.inputs, options.seed)
    except AssertionError as failure:
        sys.exit(f"FAILED: {failure}")
    seconds = time.monotonic() - start
    figures = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{options.inputs} inputs in {seconds:.0f} s: {figures}")


if __name__ == "__main__":
    main()
