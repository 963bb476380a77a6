"""A short run of `make fuzz`."""

from __future__ import annotations

from tests.erlang.fuzz_etf import run


def test_mutated_and_random_inputs_give_a_term_or_an_error_within_bounds():
    outcomes = run(30_000, seed=2025)
    assert outcomes["term"] > 1000
    assert outcomes["error"] > 1000
    assert outcomes["measured"] > 500
