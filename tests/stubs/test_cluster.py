"""A cluster of stubs starts, sees itself, can be changed from a test and leaves nothing behind."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from erlang_stubs import build
from erlang_stubs.beam import StubError, eventually
from erlang_stubs.cluster import COOKIE, SECRET_MARKER, StubCluster, scenarios

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SENT = """lists:sum([N || {_, N} <- prometheus_counter:values(default, "xmpp_element_in_message_count")])"""


@pytest.mark.parametrize("scenario", scenarios())
def test_every_scenario_starts_and_holds_marked_passwords(scenario: str) -> None:
    with StubCluster(scenario, size=1) as cluster:
        assert SECRET_MARKER in cluster.nodes[0].eval("stub_config:options(persistent_term:get(stub))")


def test_nodes_are_visible_to_each_other(default_cluster: StubCluster) -> None:
    first, second = default_cluster.nodes
    assert first.eval("{nodes(), nodes(hidden)}") == "{[mongooseim2@localhost],[]}"
    assert second.eval("{nodes(), nodes(hidden)}") == "{[mongooseim1@localhost],[]}"


def test_a_node_can_join_later_and_come_back_after_a_restart(start_cluster: Callable[..., StubCluster]) -> None:
    cluster = start_cluster(size=1)
    cluster.add_node()
    third = cluster.add_node()
    assert [node.eval("length(nodes())") for node in cluster.nodes] == ["2", "2", "2"]
    creation = third.eval("erlang:system_info(creation)")
    third.restart()
    cluster.join()
    assert third.eval("length(nodes())") == "2"
    assert third.eval("erlang:system_info(creation)") != creation


def test_the_cookie_is_in_a_file_for_its_owner_only_and_in_no_argument(default_cluster: StubCluster) -> None:
    assert stat.S_IMODE(default_cluster.cookie_file.stat().st_mode) == 0o400
    assert default_cluster.cookie_file.read_text() == COOKIE
    assert default_cluster.nodes[0].eval("erlang:get_cookie()").strip("'") == COOKIE
    assert COOKIE not in default_cluster.nodes[0].eval("init:get_arguments()")


def test_the_environment_is_what_the_bridge_reads(default_cluster: StubCluster) -> None:
    assert default_cluster.environ == {
        "ERL_EPMD_PORT": str(default_cluster.epmd_port),
        "MONGOOSEIM_BRIDGE_COOKIE_FILE": str(default_cluster.cookie_file),
        "MONGOOSEIM_BRIDGE_NODES": "mongooseim1@localhost",
    }


def test_nothing_runs_on_after_the_end(tmp_path: Path) -> None:
    with StubCluster(size=1, directory=tmp_path) as cluster:
        pid = cluster.nodes[0].pid
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_start_that_fails_says_what_the_node_said_and_leaves_nothing_running() -> None:
    cluster = StubCluster(size=2, args=["-run", "no_such_module"])
    with pytest.raises(StubError, match=r"mongooseim\d@localhost did not start.*no_such_module"):
        cluster.start()
    with pytest.raises(AssertionError):
        _ = cluster.nodes[0].pid


def test_an_unknown_scenario_is_named_beside_the_known_ones() -> None:
    with pytest.raises(StubError, match=r"no scenario 'nope'.*default.*hostile"):
        StubCluster("nope")


def test_counters_advance_on_one_node_in_every_library(start_cluster: Callable[..., StubCluster]) -> None:
    first, second = start_cluster("6.8_both").nodes
    before = int(first.eval(SENT)), int(second.eval(SENT))
    first.eval("stub:advance(xmppMessageSent, 5)")
    assert (int(first.eval(SENT)), int(second.eval(SENT))) == (before[0] + 5, before[1])
    values = "exometer:get_values(['_', xmpp_element_in, '_', message_count])"
    assert first.eval(f"lists:sum([N || {{_, [{{count, N}} | _]}} <- {values}])") == str(before[0] + 5)


def test_the_application_stops_and_starts_with_counters_from_zero(start_cluster: Callable[..., StubCluster]) -> None:
    node = start_cluster("6.8_both", size=1).nodes[0]
    node.eval("stub:stop_mongooseim()")
    assert node.eval("mongoose_domain_core:domains_count()") == "undefined"
    node.eval("stub:start_mongooseim()")
    assert node.eval("mongoose_domain_core:domains_count()") == "5"
    assert node.eval(SENT) == "0"
    values = "exometer:get_values(['_', xmpp_element_in, '_', message_count])"
    assert node.eval(f"lists:usort([N || {{_, [{{count, N}} | _]}} <- {values}])") == "[0]"


def test_any_key_and_option_can_be_set_while_counters_go_on(start_cluster: Callable[..., StubCluster]) -> None:
    node = start_cluster(size=1).nodes[0]
    node.eval("stub:advance(xmppMessageSent, 1)")
    total = node.eval(SENT)
    node.eval('stub:set(version, "6.8.0-35-gabc123")')
    node.eval("stub:set({config, listen}, [])")
    node.eval("stub:unset({config, outgoing_pools})")
    node.eval('stub:set(many_host_types, {50, <<"tenants">>})')
    version = node.eval("element(3, lists:keyfind(mongooseim, 1, application:which_applications()))")
    assert version == '"6.8.0-35-gabc123"'
    assert node.eval("mongoose_config:get_opt(listen)") == "[]"
    assert node.eval("mongoose_config:lookup_opt(outgoing_pools)") == "{error,not_found}"
    assert node.eval("length(mongoose_config:get_opt(host_types))") == "52"
    assert node.eval('gen_mod:loaded_modules(<<"type 000050">>) =:= gen_mod:loaded_modules(<<"tenants">>)') == "true"
    assert node.eval(SENT) == total


def test_two_that_build_at_once_get_the_same_whole_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part in ("build.escript", "modules.terms", "scenarios", "src"):
        (tmp_path / part).symlink_to(build.HERE / part)
    monkeypatch.setattr(build, "HERE", tmp_path)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: build.beams(), range(2))
    assert first == second
    assert (first / "6.2-6.8" / "mongoose_config.beam").is_file()
    assert (first / "mod_acme_archive.beam").is_file()
    eventually("only the result is left", lambda: list((tmp_path / "ebin").iterdir()) == [first])


def test_sources_that_do_not_compile_are_an_error_with_the_compilers_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "broken.erl").write_text("-module(broken).\nf() -> .\n")
    (tmp_path / "build.escript").write_bytes((build.HERE / "build.escript").read_bytes())
    monkeypatch.setattr(build, "HERE", tmp_path)
    with pytest.raises(StubError, match=r"do not compile[\s\S]*broken\.erl"):
        build.beams()
    assert list((tmp_path / "ebin").iterdir()) == []
