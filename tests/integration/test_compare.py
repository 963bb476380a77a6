"""`compare` explains every difference from MongooseIM's own reporter, in every release, and notices what it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.report.compare import UNEXPLAINED, Deviation
from tests.support.bridge import Bridge

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from erlang_stubs.cluster import StubCluster


@pytest.mark.parametrize(
    ("scenario", "expected"),
    [
        ("6.1", {Deviation.PER_HOST_TYPE, Deviation.STOCK_MODULES, Deviation.CUSTOM_COUNT, Deviation.ALL_HANDLERS}),
        ("6.3", {Deviation.PER_HOST_TYPE, Deviation.STOCK_MODULES, Deviation.CUSTOM_COUNT}),
        ("6.3_prometheus", {Deviation.ANY_METRICS}),
        ("6.5", {Deviation.PER_HOST_TYPE, Deviation.STOCK_MODULES, Deviation.TLS_ALWAYS, Deviation.ALL_HANDLERS}),
        ("6.8_exometer", {Deviation.CUSTOM_NAMES, Deviation.TLS_ALWAYS}),
        ("6.8_metrics_not_started", {Deviation.NO_CRASH}),
        ("hostile", {Deviation.NO_CRASH}),
    ],
)
def test_every_difference_is_explained(
    tmp_path: Path, start_cluster: Callable[..., StubCluster], scenario: str, expected: set[Deviation]
) -> None:
    explained(Bridge(tmp_path / "bridge", start_cluster(scenario, 1).environ), expected)


def explained(bridge: Bridge, expected: set[Deviation]) -> list[dict[str, str]]:
    """The rows of `compare`, each of which agrees or is explained, by these deviations at least."""
    result = bridge.run("compare", "--format", "json")
    rows: list[dict[str, str]] = result.json()["rows"]
    verdicts = {row["verdict"] for row in rows}
    assert UNEXPLAINED not in verdicts
    assert expected <= verdicts <= set(Deviation)
    assert result.code == 0, result.err
    assert "s3cr3t" not in result.out + result.err
    assert "acme" not in result.out
    assert not bridge.state_dir.exists()
    return rows


def test_a_difference_that_nothing_explains_exits_with_1(
    tmp_path: Path, start_cluster: Callable[..., StubCluster]
) -> None:
    cluster = start_cluster("6.8_none", 1)
    bridge = Bridge(tmp_path / "bridge", cluster.environ)
    explained(bridge, {Deviation.CUSTOM_NAMES, Deviation.TLS_ALWAYS})
    # A collector of the test's own that says something else of one fact.
    cluster.nodes[0].eval(
        """{ok, _, Code} = compile:forms([
            {attribute, 1, module, mongoose_system_metrics_collector}, {attribute, 1, export, [{collect, 2}]},
            {function, 1, collect, 2, [{clause, 1, [{var, 1, '_'}, {var, 1, '_'}], [],
                [erl_parse:abstract([#{name => host_count, params => #{value => 99}}])]}]}]),
        {module, _} = code:load_binary(mongoose_system_metrics_collector, "", Code)"""
    )
    result = bridge.run("compare")
    assert result.code == 1
    assert "value=99" in result.out
    assert UNEXPLAINED in result.out


def test_a_component_that_two_nodes_serve_explains_the_higher_count(
    tmp_path: Path, default_cluster: StubCluster
) -> None:
    expected = {Deviation.CUSTOM_NAMES, Deviation.TLS_ALWAYS, Deviation.UPTIME_SECONDS}
    rows = explained(Bridge(tmp_path / "bridge", default_cluster.environ), expected)
    (row,) = (row for row in rows if row["verdict"] == Deviation.COMPONENTS_ONCE)
    assert (row["own"], row["ours"]) == ("component=3", "component=2")


def test_a_stopped_mongooseim_cannot_be_compared(tmp_path: Path, start_cluster: Callable[..., StubCluster]) -> None:
    result = Bridge(tmp_path / "bridge", start_cluster("app_stopped", 1).environ).run("compare")
    assert result.code == 3
    assert "not running" in result.err
