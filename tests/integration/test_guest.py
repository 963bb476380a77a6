"""The cluster never notices us: whatever runs however often, the nodes are left as they were."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from erlang_stubs.beam import Beam, StubError, eventually
from erlang_stubs.cluster import StubCluster
from tests.support.bridge import Bridge

if TYPE_CHECKING:
    from collections.abc import Callable

COUNTS = ("atom_count", "process_count", "port_count", "ets_count")


def counts(node: Beam) -> dict[str, int]:
    """What would grow if something were left behind; monitors are counted over all processes."""
    numbers = node.eval(
        f"[{', '.join(f'erlang:system_info({name})' for name in COUNTS)}, "
        "lists:sum([length(M) || P <- processes(), {monitors, M} <- [erlang:process_info(P, monitors)]]), "
        "length(nodes(hidden))]"
    )
    return dict(zip((*COUNTS, "monitors", "hidden"), map(int, numbers.strip("[]").split(",")), strict=True))


def settled(node: Beam, before: dict[str, int]) -> dict[str, int]:
    """The counts once the connection that was closed last is gone there too; those that remain higher are a leak."""
    try:
        eventually("the counts of before", lambda: all(counts(node)[name] <= number for name, number in before.items()))
    except StubError:
        return counts(node)
    return before


def run(cluster: StubCluster, directory: Path, times: int) -> dict[str, tuple[int, int]]:
    """Run `preview` and `report` so often; the counts that grew, with before and after."""
    bridge = Bridge(directory, cluster.environ)
    for command in ("preview", "report", "nodes"):  # what is loaded and named once is there from then on
        assert bridge.run(command).code == 0
    node = cluster.nodes[0]
    before = counts(node)
    for number in range(times):
        result = bridge.run("preview" if number % 2 else "report")
        assert result.code == 0, result.err
    after = settled(node, before)
    return {name: (before[name], after[name]) for name in before if after[name] > before[name]}


def test_runs_leave_nothing_behind_in_the_nodes(tmp_path: Path, start_cluster: Callable[..., StubCluster]) -> None:
    assert run(start_cluster("6.8_none", 2), tmp_path / "bridge", 10) == {}


def main() -> None:
    """The long form: `python -m tests.integration.test_guest --runs 1000`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1000)
    runs = parser.parse_args().runs
    with StubCluster("6.8_none", 2) as cluster, tempfile.TemporaryDirectory() as directory:
        grown = run(cluster, Path(directory) / "bridge", runs)
    print(f"{runs} runs; what grew in the node (before, after): {grown or 'nothing'}")
    sys.exit(bool(grown))


if __name__ == "__main__":
    main()
