"""Mutated and random inputs to the term decoder: `python -m tests.erlang.fuzz_etf --inputs 1000000`.

For every input: a term or an EtfError and nothing else, CPU time linear in its length; a term is written and read
again as the same. For one in `SAMPLE`, which is slower to measure, the memory is bounded by MEMORY_FACTOR as well.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import time
import tracemalloc
import zlib
from collections import Counter
from typing import TYPE_CHECKING, Final

from bridge.erlang import Atom, EtfError, Limits, binary_to_term, term_to_binary
from bridge.erlang.etf_decode import MEMORY_FACTOR
from bridge.erlang.etf_encode import canonical
from tests.erlang.strategies import FORMS, OLD_FORMS

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLE: Final = 50
LONGEST: Final = 8192
LIMITS: Final = Limits(elements=100_000, inflated=100_000)
SLOW: Final = 1.0
"""Seconds of CPU time for the longest input, some hundred times what it takes: only what is not linear gets there."""
OVERHEAD: Final = 64_000
"""Bytes that decoding takes for itself: the interpreter's stack grows in pieces of 16 KiB, and atoms are kept."""

TERMS: Final = [term for term, _ in FORMS]
SEEDS: Final = [
    *(b"\x83" + form for _, form in FORMS),
    *(b"\x83" + form for form, _ in OLD_FORMS),
    *map(term_to_binary, (TERMS, [*range(200)], [*range(200, 600)], [tuple(TERMS[:9]), {Atom("deep"): [[[1]]]}] * 9)),
    b"\x83" + b"l\0\0\0\1" * 90 + b"j" * 91,
    b"\x83" + b"t\0\0\0\1" * 90 + b"j" * 91,
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
            body = mutated(chance.choice(SEEDS), chance)[1:]
            claim = len(body) if chance.random() < 0.7 else chance.choice([0, 1, len(body) + 1, 10**6, 2**32 - 1])
            packed = b"\x83P" + claim.to_bytes(4, "big") + zlib.compress(body, 1)
            yield mutated(packed, chance) if chance.random() < 0.5 else packed
        else:
            yield mutated(chance.choice(SEEDS), chance)


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """The seed with a few bytes changed, left out or added."""
    data = bytearray(seed)
    for _ in range(1 + int(chance.expovariate(0.7))):
        at = chance.randrange(len(data) + 1)
        piece = chance.choice(INTERESTING)
        other = chance.choice(SEEDS)
        match chance.randrange(7):
            case 0 | 1:
                data[at : at + 1] = bytes(byte ^ 1 << chance.randrange(8) for byte in data[at : at + 1])
            case 2:
                data[at : at + chance.choice([1, len(piece)])] = piece
            case 3:
                del data[at : at + chance.randrange(1, 9)]
            case 4:
                data[at:at] = data[at : at + chance.randrange(1, 40)]
            case 5:
                data[at:] = other[chance.randrange(len(other)) :]
            case _:
                data[at:at] = other[1:]  # a whole term before another's beginning keeps more inputs well formed
    return bytes(data[:LONGEST])


def check(data: bytes) -> str:
    """Decode one input; "term" or "error".

    Raises:
        AssertionError: it took too long, or a term was not the same when read again.
    """
    start = time.process_time()
    try:
        term = binary_to_term(data, LIMITS)
    except EtfError:
        return "error"
    finally:
        spent = time.process_time() - start
        assert spent < SLOW, f"{spent:.2f} s for {len(data)} bytes"
    again = binary_to_term(term_to_binary(term), LIMITS)
    assert canonical(again) == canonical(term), "not the same when written and read again"
    return "term"


def peak_of(data: bytes) -> int:
    """The most bytes that were allocated at a time while decoding."""
    tracemalloc.start()
    with contextlib.suppress(EtfError):
        binary_to_term(data, LIMITS if len(data) <= LONGEST else Limits())
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
                inflated = LIMITS.inflated if data[1:2] == b"P" else 0
                peak = peak_of(data)
                assert peak <= MEMORY_FACTOR * (len(data) + inflated) + OVERHEAD, f"{peak} bytes for {len(data)}"
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
    outcomes = run(options.inputs, options.seed)
    print(f"{options.inputs} inputs: {', '.join(f'{count} {outcome}' for outcome, count in sorted(outcomes.items()))}")


if __name__ == "__main__":
    main()
