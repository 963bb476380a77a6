"""A cluster of stubs starts, sees itself, can be changed from a test and leaves nothing behind."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from erlang_stubs import build
from erlang_stubs.beam import StubError, eventually
from erlang_stubs.cluster import COOKIE, StubCluster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SENT = """lists:sum([N || {_, N} <- prometheus_counter:values(default, "xmpp_element_in_message_count")])"""


def test_nodes_are_visible_to_each_other(default_cluster: StubCluster) -> None:
    first, second = default_cluster.nodes
    assert first.eval("{nodes(), nodes(hidden)}") == "{[mongooseim2@localhost],[]}"
    assert second.eval("{nodes(), nodes(hidden)}") == "{[mongooseim1@localhost],[]}"


def test_a_node_joins_later_comes_back_after_a_restart_and_does_not_outlive_the_cluster(
    start_cluster: Callable[..., StubCluster],
) -> None:
    cluster = start_cluster(size=1)
    second = cluster.add_node()
    assert [node.eval("length(nodes())") for node in cluster.nodes] == ["1", "1"]
    creation, pid = second.eval("erlang:system_info(creation)"), second.pid
    second.restart()
    cluster.join()
    assert second.eval("length(nodes())") == "1"
    assert second.eval("erlang:system_info(creation)") != creation
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    pid = second.pid
    os.kill(pid, 0)
    cluster.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


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


def test_a_start_that_fails_says_what_the_node_said_and_leaves_nothing_running() -> None:
    cluster = StubCluster(size=1, args=["-run", "no_such_module"])
    with pytest.raises(StubError, match=r"mongooseim\d@localhost did not start.*no_such_module"):
        cluster.start()
    with pytest.raises(AssertionError):
        _ = cluster.nodes[0].pid


def test_an_unknown_scenario_is_named_beside_the_known_ones() -> None:
    with pytest.raises(StubError, match=r"no scenario 'nope'.*default.*hostile"):
        StubCluster("nope")


def test_what_a_test_can_change_in_a_running_node(start_cluster: Callable[..., StubCluster]) -> None:
    first, second = start_cluster("6.8_both").nodes
    before = int(first.eval(SENT)), int(second.eval(SENT))
    first.eval("stub:advance(xmppMessageSent, 5)")
    assert (int(first.eval(SENT)), int(second.eval(SENT))) == (before[0] + 5, before[1])
    exometer = "[N || {_, [{count, N} | _]} <- exometer:get_values(['_', xmpp_element_in, '_', message_count])]"
    assert first.eval(f"lists:sum({exometer})") == str(before[0] + 5)

    first.eval('stub:set(version, "6.8.0-35-gabc123")')
    first.eval("stub:set({config, listen}, [])")
    first.eval("stub:unset({config, outgoing_pools})")
    first.eval('stub:set(many_host_types, {50, <<"tenants">>})')
    version = first.eval("element(3, lists:keyfind(mongooseim, 1, application:which_applications()))")
    assert version == '"6.8.0-35-gabc123"'
    assert first.eval("mongoose_config:get_opt(listen)") == "[]"
    assert first.eval("mongoose_config:lookup_opt(outgoing_pools)") == "{error,not_found}"
    assert first.eval("length(mongoose_config:get_opt(host_types))") == "52"
    assert first.eval('gen_mod:loaded_modules(<<"type 000050">>) =:= gen_mod:loaded_modules(<<"tenants">>)') == "true"
    assert first.eval(SENT) == str(before[0] + 5), "counters go on"

    first.eval("stub:stop_mongooseim()")
    assert first.eval("mongoose_domain_core:domains_count()") == "undefined"
    first.eval("stub:start_mongooseim()")
    assert first.eval("mongoose_domain_core:domains_count()") == "5"
    assert first.eval(SENT) == "0"
    assert first.eval(f"lists:usort({exometer})") == "[0]"


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
