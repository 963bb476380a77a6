"""The stub of MongooseIM's own collector makes the events of the real one, with what is wrong in them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from erlang_stubs.beam import Beam
    from erlang_stubs.cluster import StubCluster

COLLECT = "mongoose_system_metrics_collector:collect([], prometheus)"


def params(node: Beam, event: str, collect: str = COLLECT) -> str:
    return node.eval(f"[maps:to_list(P) || #{{name := {event}, params := P}} <- {collect}]")


@pytest.fixture
def node(default_cluster: StubCluster) -> Beam:
    return default_cluster.nodes[0]


def test_events_are_maps_of_a_name_and_params_in_the_order_of_the_real_ones(node: Beam) -> None:
    names = node.eval(f"""lists:foldl(fun(#{{name := N, params := #{{}}}}, [N | _] = Seen) -> Seen;
                                         (#{{name := N, params := #{{}}}}, Seen) -> [N | Seen] end, [], {COLLECT})""")
    assert names == (
        "[xmpp_stanza_count,outgoing_pool,transport_mechanism,http_api,cluster,custom_module_count,"
        "module_with_opt,domain_count,host_count]"
    )


def test_counts(node: Beam) -> None:
    assert params(node, "host_count") == "[[{value,4}]]"
    assert params(node, "domain_count") == "[[{value,5}]]"


def test_every_module_is_reported_for_every_host_type_also_where_it_is_not_loaded(node: Beam) -> None:
    assert node.eval(f"length([1 || #{{params := #{{module := mod_muc}}}} <- {COLLECT}])") == "4"
    backends = node.eval(f"[maps:get(backend, P, none) || #{{params := #{{module := mod_muc}} = P}} <- {COLLECT}]")
    assert backends == "[mnesia,none,mnesia,none]"


def test_stock_modules_without_metrics_count_as_custom(node: Beam) -> None:
    # only the first of them is one
    silent = node.eval("""[M || M <- lists:usort(gen_mod:loaded_modules(<<"acme.example">>)),
                                not lists:member({behaviour, [mongoose_module_metrics]}, M:module_info(attributes))]""")
    assert silent == "[mod_acme_billing,mod_cache_users,mod_extdisco,mod_ping,mod_presence]"
    assert params(node, "custom_module_count") == "[[{value,5}]]"
    assert node.eval(f"[1 || #{{params := #{{module := mod_ping}}}} <- {COLLECT}]") == "[]"


def test_a_custom_module_with_metrics_is_disclosed_with_its_backend(node: Beam) -> None:
    disclosed = node.eval(f"hd([P || #{{params := #{{module := mod_acme_archive}} = P}} <- {COLLECT}])")
    assert disclosed == "#{backend => acme_vault,module => mod_acme_archive}"


def test_the_last_of_two_backends_is_reported(node: Beam) -> None:
    assert node.eval(f"hd([B || #{{params := #{{module := mod_event_pusher, backend := B}}}} <- {COLLECT}])") == "push"


def test_the_cluster_event_has_binaries_for_uptime_and_version(node: Beam) -> None:
    # irc is served by both nodes, so listed and counted twice; bots is the third
    shown = node.eval(f"""
        [P] = [P || #{{name := cluster, params := P}} <- {COLLECT}],
        {{match, _}} = re:run(maps:get(uptime, P), "^[0-9]{{4}}-[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}$"),
        maps:remove(uptime, P)""")
    assert shown == '#{component => 3,config_type => toml,node_number => 2,version => <<"6.8.0">>}'


def test_handlers_that_are_not_on_its_list_are_left_out(node: Beam) -> None:
    assert params(node, "http_api") == (
        "[[{mongoose_bosh_handler,enabled},{mongoose_graphql_handler,enabled},{mongoose_websocket_handler,enabled}]]"
    )
    assert params(node, "transport_mechanism") == (
        "[[{mongoose_bosh_handler,enabled},{mongoose_websocket_handler,enabled},{tcp,enabled}]]"
    )


def test_no_tls_option_where_no_tls_module_is_named(node: Beam) -> None:
    assert params(node, "tls_option") == "[]"


def test_one_event_per_pool(node: Beam) -> None:
    assert params(node, "outgoing_pool") == (
        "[[{value,redis}],[{value,rdbms}],[{value,ldap}],[{value,http}],[{value,http}]]"
    )


def test_increments_are_differences_to_the_previous_report_and_go_below_zero(node: Beam) -> None:
    previous = "[#{name => xmpp_stanza_count, params => #{stanza_type => xmppMessageSent, total => 500}}]"
    collect = f"mongoose_system_metrics_collector:collect({previous}, prometheus)"
    shown = node.eval(f"""[{{T, N, I}} || #{{name := xmpp_stanza_count, params := #{{stanza_type := T, total := N,
                                             increment := I}}}} <- {collect}]""")
    assert shown == (
        "[{xmppMessageSent,120,-380},{xmppMessageReceived,95,95},{xmppIqSent,260,260},{xmppIqReceived,130,130},"
        "{xmppPresenceSent,75,75},{xmppPresenceReceived,48,48}]"
    )


def test_no_stanza_counts_without_a_metrics_library(node: Beam) -> None:
    assert params(node, "xmpp_stanza_count", "mongoose_system_metrics_collector:collect([], none)") == "[]"
