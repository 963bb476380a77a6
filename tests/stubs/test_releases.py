"""Each release's stub has the functions, names and shapes of that release, and only those."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from erlang_stubs.cluster import StubCluster

if TYPE_CHECKING:
    from collections.abc import Iterator

    from erlang_stubs.beam import Beam

CLASSIC = "['_', xmppMessageSent]"
C2S = "['_', c2s_element_in, message_count]"
XMPP = "['_', xmpp_element_in, '_', message_count]"


@pytest.fixture(scope="module", params=["6.1", "6.2", "6.3", "6.5", "6.8_exometer"])
def cluster(request: pytest.FixtureRequest) -> Iterator[StubCluster]:
    with StubCluster(request.param, size=1) as cluster:
        yield cluster


@pytest.fixture
def node(cluster: StubCluster) -> Beam:
    return cluster.nodes[0]


@pytest.fixture
def release(request: pytest.FixtureRequest) -> str:
    return str(request.node.callspec.params["cluster"]).split("_")[0]


def exported(node: Beam, module: str, function: str, arity: int) -> bool:
    return node.eval(f"code:ensure_loaded({module}), erlang:function_exported({module}, {function}, {arity})") == "true"


def test_the_version_is_that_of_the_release(node: Beam, release: str) -> None:
    version = node.eval("element(3, lists:keyfind(mongooseim, 1, application:which_applications()))")
    assert version.strip('"').startswith(release + ".")


def test_the_own_collector_takes_a_second_argument_since_6_4(node: Beam, release: str) -> None:
    late = release >= "6.4"
    assert exported(node, "mongoose_system_metrics_collector", "collect", 2) is late
    assert exported(node, "mongoose_system_metrics_collector", "collect", 1) is not late


def test_components_are_known_to_the_router_in_6_1_and_to_a_module_of_their_own_since(node: Beam, release: str) -> None:
    first = release == "6.1"
    for function, arity in [("lookup_component", 2), ("dirty_get_all_components", 1)]:
        assert exported(node, "ejabberd_router", function, arity) is first
        assert exported(node, "mongoose_component", function, arity) is not first


def test_the_component_record_has_two_shapes_of_which_one_names_the_node_second(node: Beam, release: str) -> None:
    router = "ejabberd_router" if release == "6.1" else "mongoose_component"
    shape = node.eval(f'[R] = {router}:lookup_component(<<"irc.acme.example">>, node()), {{size(R), element(3, R)}}')
    assert shape == "{6,mongooseim1@localhost}" if release >= "6.4" else shape.startswith("{5,{packet_handler,")


def test_prometheus_came_with_6_3(node: Beam, release: str) -> None:
    assert exported(node, "prometheus_counter", "values", 2) is (release >= "6.3")
    assert node.eval("element(1, mongoose_config:lookup_opt(instrumentation))") == (
        "ok" if release >= "6.3" else "error"
    )


def test_a_counter_pattern_of_another_release_answers_nothing(node: Beam, release: str) -> None:
    right = CLASSIC if release < "6.3" else C2S if release < "6.4" else XMPP
    for pattern in (CLASSIC, C2S, XMPP):
        total = node.eval(f"lists:sum([N || {{_, [{{count, N}}, {{one, _}}]}} <- exometer:get_values({pattern})])")
        assert total == ("120" if pattern == right else "0")
        assert (node.eval(f"exometer:get_values({pattern})") == "[]") is (pattern != right)


def test_exometer_names_have_no_spaces(node: Beam, release: str) -> None:
    pattern = CLASSIC if release < "6.3" else C2S if release < "6.4" else XMPP
    names = node.eval(f"lists:usort([hd(Name) || {{Name, _}} <- exometer:get_values({pattern})])")
    assert '<<"trial_users">>' in names
    assert ("global" in names) is (release >= "6.4")


def test_tls_options_name_their_module_until_6_3(node: Beam, release: str) -> None:
    modules = node.eval("""lists:sort([M || #{module := mongoose_c2s_listener, tls := #{module := M}}
                                            <- mongoose_config:get_opt(listen)])""")
    assert modules == ("[fast_tls,just_tls]" if release < "6.4" else "[]")


def test_bosh_and_websocket_got_their_new_names_with_6_6(node: Beam, release: str) -> None:
    handlers = node.eval("""lists:usort([M || #{handlers := Hs} <- mongoose_config:get_opt(listen),
                                              #{module := M} <- Hs])""")
    assert ("mod_bosh" in handlers and "mod_websockets" in handlers) is (release < "6.6")
    assert ("mongoose_bosh_handler" in handlers and "mongoose_websocket_handler" in handlers) is (release >= "6.6")


def test_cluster_ids_without_rdbms_are_called_ephemeral_since_6_3(node: Beam, release: str) -> None:
    cluster_id = node.eval("mongoose_cluster_id:get_cached_cluster_id()")
    assert cluster_id.startswith('{ok,<<"ephemeral-') is (release >= "6.3")


def collected(release: str, what: str, event: str) -> str:
    """What the own collector of a release gives of an event."""
    arguments = "[]" if release < "6.4" else "[], true" if release < "6.6" else "[], exometer"
    source = f"mongoose_system_metrics_collector:collect({arguments})"
    return f"[{what} || #{{name := {event}, params := P}} <- {source}]"


def test_each_release_counts_stanzas_under_its_own_names(node: Beam, release: str) -> None:
    assert node.eval(collected(release, "maps:get(total, P)", "xmpp_stanza_count")) == "[120,95,260,130,75,48]"


def test_older_releases_report_their_handlers_and_tls_modules(node: Beam, release: str) -> None:
    def params(event: str) -> str:
        return node.eval(collected(release, "maps:to_list(P)", event))

    tls = "[[{mode,tls},{module,just_tls}],[{mode,starttls},{module,fast_tls}]]"
    assert params("tls_option") == (tls if release < "6.4" else "[]")
    if release < "6.6":
        assert params("http_api").startswith("[[{mod_bosh,enabled},{mod_websockets,enabled},{mongoose_admin_api,")
        assert params("transport_mechanism") == "[[{mod_bosh,enabled},{mod_websockets,enabled},{tcp,enabled}]]"


def test_what_a_stopped_application_still_answers(node: Beam, release: str) -> None:
    node.eval("stub:stop_mongooseim()")
    try:
        # in 6.1 a look-up cannot be told from a missing option
        looked_up = node.eval("try mongoose_config:lookup_opt(listen) catch C:R -> {C, R} end")
        assert looked_up == ("{error,not_found}" if release == "6.1" else "{error,badarg}")
        assert node.eval("catch element(1, mongoose_config:get_opt(listen))").startswith("{'EXIT',{badarg,")
        if release == "6.2":  # components are in mnesia
            assert node.eval("mongoose_component:dirty_get_all_components(all)") == "[]"
            assert node.eval('mongoose_component:lookup_component(<<"irc.acme.example">>, node())') == "[]"
    finally:
        node.eval("stub:start_mongooseim()")
