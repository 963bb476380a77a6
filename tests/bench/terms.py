"""The term format against erlang-py and erldistpy, its peers on the package index, and against the node itself."""

from __future__ import annotations

import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.erlang import binary_to_term, term_to_binary
from erlang_stubs.beam import Beam, Epmd, write_cookie
from tests.bench.paired import Measured, clocked, show, take_turns

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 11

MAPS = """
    [#{id => I, name => <<"user", (integer_to_binary(I))/binary>>, jid => <<"user@localhost/resource">>,
       active => I rem 2 =:= 0, score => I * 1.25, count => I * 1000, negative => -I, seen => 1700000000000 + I,
       tags => [alpha, beta, <<"gamma">>, [1000, [2000, x]]], position => {I, I + 1.5, ok}, type => fixed,
       priority => I rem 256, options => [{verbose, true}, {limit, 300 + I}, {name, <<"some name">>}],
       status => binary:copy(<<"away for a while. ">>, 11), history => [[a, I], [b, [c, [d, 2.5]]]]}
     || I <- lists:seq(1, 200)]
"""
WORKS = {
    "200 maps": MAPS,
    "1,000,000 small integers": "[I rem 256 || I <- lists:seq(1, 1000000)]",
    "20 MB binary": "binary:copy(<<1>>, 20000000)",
}


def run() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write_cookie(home, "bench")
        with Epmd() as epmd, Beam("bench@localhost", home, epmd.port) as beam:
            rows = [row for name, expression in WORKS.items() for row in _compared(name, expression, beam, home)]
    show("Terms: median rate, and how many times as fast as each peer", ["work", "", "rate", *PEERS, "node"], rows)


def _erlang_py() -> tuple[Callable[[bytes], object], Callable[[object], bytes]]:
    import erlang  # noqa: PLC0415 - an extra

    return erlang.binary_to_term, erlang.term_to_binary


def _erldistpy() -> tuple[Callable[[bytes], object], Callable[[object], bytes]]:
    import erldistpy  # noqa: PLC0415 - an extra

    return erldistpy.decode, erldistpy.encode


PEERS = {
    name: load for name, load in (("erlang-py", _erlang_py), ("erldistpy", _erldistpy)) if find_spec(name.split("-")[0])
}


def _compared(name: str, expression: str, beam: Beam, home: Path) -> list[list[object]]:
    file = home / "term"
    beam.eval(f'persistent_term:put(term, {expression}), file:write_file("{file}", term_to_binary({expression}))')
    data = file.read_bytes()
    codecs = {"bridge": (binary_to_term, term_to_binary), **{peer: load() for peer, load in PEERS.items()}}
    rows = []
    for direction in ("decode", "encode"):
        works: dict[str, Callable[[], float]] = {}
        for who, (decode, encode) in codecs.items():
            try:
                subject = data if direction == "decode" else decode(data)
                work = decode if direction == "decode" else encode
                work(subject)
            except Exception:
                continue  # this peer cannot
            works[who] = lambda work=work, subject=subject: clocked(lambda: work(subject))
        works["node"] = lambda direction=direction: _in_node(beam, direction)
        taken = take_turns(works, 3 if "integers" in name else ROUNDS)
        ours = taken["bridge"]
        rate = f"{len(data) / ours.median / 1e6:.1f} MB/s"
        ratios = [_times(taken.get(who), ours) for who in (*PEERS, "node")]
        rows.append([name if direction == "decode" else "", direction, rate, *ratios])
    return rows


def _times(peer: Measured | None, ours: Measured) -> str:
    if peer is None:
        return "cannot"
    ratio = peer.ratio_to(ours)
    return f"{ratio:.1f}" if ratio >= 1 else f"{ratio:.2g}"


def _in_node(beam: Beam, direction: str) -> float:
    term = "T = persistent_term:get(term), B = term_to_binary(T)"
    work = "binary_to_term(B)" if direction == "decode" else "term_to_binary(T)"
    # ten times: some of it takes less than the clock's microsecond
    return int(beam.eval(f"{term}, element(1, timer:tc(fun() -> [{work} || _ <- lists:seq(1, 10)] end))")) / 1e7
