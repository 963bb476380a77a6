"""The default stub answers every question of the bridge with the types of a real MongooseIM 6.8.0 node.

Expectations are Erlang expressions that hold on a real node too, evaluated in the stub.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from erlang_stubs.build import HERE
from erlang_stubs.cluster import SECRET_MARKER, scenarios

if TYPE_CHECKING:
    from erlang_stubs.cluster import StubCluster

PER_HOST = ("auth", "s2s", "modules")
HOLDS_ON_A_REAL_NODE = {
    "hosts are binaries": """
        lists:all(fun erlang:is_binary/1, mongoose_config:get_opt(hosts) ++ mongoose_config:get_opt(host_types))""",
    "listeners are maps with a module, a port and a protocol": """
        lists:all(fun(#{module := M, port := P, proto := tcp}) -> is_atom(M) andalso is_integer(P) end,
                  mongoose_config:get_opt(listen))""",
    "client listeners do TLS in two modes and name no TLS module": """
        [starttls, tls] =:= [Mode || #{module := mongoose_c2s_listener, tls := #{mode := Mode} = Tls}
                                     <- mongoose_config:get_opt(listen), not is_map_key(module, Tls)]""",
    "handlers of HTTP listeners are maps whose host is '_' or a string": """
        lists:all(fun(#{module := M, path := Path, host := Host}) ->
                          is_atom(M) andalso is_list(Path) andalso (Host =:= '_' orelse is_list(Host)) end,
                  [H || #{module := ejabberd_cowboy, handlers := Hs} <- mongoose_config:get_opt(listen), H <- Hs])""",
    "pools are maps with an atom as type": """
        [http, http, ldap, rdbms, redis] =:=
            lists:sort([T || #{type := T, opts := #{}, conn_opts := #{}}
                             <- mongoose_config:get_opt(outgoing_pools)])""",
    "instrumentation and services are maps": """
        {ok, #{prometheus := #{}, probe_interval := 15}} = mongoose_config:lookup_opt(instrumentation),
        {ok, #{service_mongoose_system_metrics := #{report := false}}} = mongoose_config:lookup_opt(services),
        true""",
    "a path of keys reaches into an option": """
        false =:= mongoose_config:get_opt([services, service_mongoose_system_metrics, report])""",
    "an option with a default": "here =:= mongoose_config:get_opt(missing, here)",
    "looking up a missing option": "{error, not_found} =:= mongoose_config:lookup_opt(missing)",
    "the path of the configuration is a string": '"etc/mongooseim.toml" =:= mongoose_config:get_config_path()',
    "the log directory is a string": "is_list(mongoose_logs:dir()) andalso io_lib:printable_list(mongoose_logs:dir())",
    "the cluster id is a binary and ephemeral": """
        {ok, <<"ephemeral-", Uuid/binary>>} = mongoose_cluster_id:get_cached_cluster_id(), 36 =:= byte_size(Uuid)""",
    "the application has a description and a version": """
        {mongooseim, "MongooseIM", "6.8.0"} =:= lists:keyfind(mongooseim, 1, application:which_applications())""",
    "an application without a description has []": """
        {prometheus_cowboy, [], "0.1.8"} =:= lists:keyfind(prometheus_cowboy, 1, application:which_applications())""",
    "routes and the components' domains are binaries": """
        lists:all(fun erlang:is_binary/1, mongoose_router:get_all_domains() ++
                                   mongoose_component:dirty_get_all_components(all))""",
    "a domain that two nodes serve is listed twice": """
        3 =:= length(mongoose_component:dirty_get_all_components(all)) andalso
        2 =:= length(lists:usort(mongoose_component:dirty_get_all_components(all)))""",
    "a hidden component is only in the list of all": """
        2 =:= length(mongoose_component:dirty_get_all_components(only_public))""",
    "a component is a record that names its node": """
        [{external_component, <<"bots.acme.example">>, Node, false, true, {packet_handler, Handler, #{pid := Pid}}}] =
            mongoose_component:lookup_component(<<"bots.acme.example">>, node()),
        Node =:= node() andalso is_function(Handler, 5) andalso is_pid(Pid)""",
    "a domain without a component has an empty list": """
        [] =:= mongoose_component:lookup_component(<<"acme.example">>, node())""",
    "prometheus has labels as pairs of strings and values": """
        lists:all(fun({[{"connection_type", C}, {"host_type", H}], N}) ->
                          is_atom(C) andalso is_binary(H) andalso is_integer(N) end,
                  prometheus_counter:values(default, "xmpp_element_in_message_count"))""",
    "prometheus counts by host type and kind of connection, and once for no host type": """
        4 * 2 + 3 =:= length(prometheus_counter:values(default, "xmpp_element_out_iq_count"))""",
    "prometheus knows its names as strings only": """
        [] =:= prometheus_counter:values(default, xmpp_element_in_message_count) andalso
        [] =:= prometheus_counter:values(default, <<"xmpp_element_in_message_count">>)""",
    "modules are atoms": 'lists:all(fun erlang:is_atom/1, gen_mod:loaded_modules(<<"acme.example">>))',
    "some twenty stock modules and two custom ones are loaded": """
        Loaded = gen_mod:loaded_modules(<<"acme.example">>),
        {Custom, Stock} = lists:partition(fun(M) -> lists:prefix("mod_acme_", atom_to_list(M)) end, Loaded),
        2 =:= length(Custom) andalso length(Stock) >= 20""",
    "host types differ in their modules": """
        [mod_presence] =:= gen_mod:loaded_modules(<<"trial users">>)""",
    "attributes hold a 128 bit version and behaviours in either spelling": """
        [Vsn] = proplists:get_value(vsn, mod_roster:module_info(attributes)),
        lists:member({behaviour, [gen_mod]}, mod_roster:module_info(attributes)) andalso
        lists:member({behaviour, [mongoose_module_metrics]}, mod_roster:module_info(attributes)) andalso
        lists:member({behavior, [gen_mod]}, mod_amp:module_info(attributes)) andalso Vsn > 1 bsl 64""",
    "some stock modules declare no metrics": """
        not lists:member({behaviour, [mongoose_module_metrics]}, mod_ping:module_info(attributes))""",
    "a custom module declares metrics": """
        lists:member({behaviour, [mongoose_module_metrics]}, mod_acme_archive:module_info(attributes))""",
    "metrics are pairs of the options that are reported": """
        [{backend, mnesia}, {online_backend, cets}] =:= mod_muc:config_metrics(<<"acme.example">>)""",
    "the last of two equal keys is the one that counts": """
        [{backend, http}, {backend, push}] =:= mod_event_pusher:config_metrics(<<"acme.example">>)""",
    "an API version is a binary": """
        [{api_version, <<"v3">>}] =:= mod_push_service_mongoosepush:config_metrics(<<"acme.example">>)""",
    "a module that is not loaded there has no options": """
        [{none, none}] =:= mod_muc:config_metrics(<<"trial users">>)""",
    "a module without metrics does not export them": """
        {module, mod_ping} = code:ensure_loaded(mod_ping), not erlang:function_exported(mod_ping, config_metrics, 1)""",
    "an exported function is not seen before its module is loaded": """
        code:purge(mod_auth_token), code:delete(mod_auth_token),
        Before = erlang:function_exported(mod_auth_token, config_metrics, 1),
        _ = mod_auth_token:module_info(attributes),
        {Before, erlang:function_exported(mod_auth_token, config_metrics, 1)} =:= {false, true}""",
}


@pytest.mark.parametrize("expression", HOLDS_ON_A_REAL_NODE.values(), ids=HOLDS_ON_A_REAL_NODE)
def test_holds_as_on_a_real_node(default_cluster: StubCluster, expression: str) -> None:
    assert default_cluster.nodes[0].eval(expression) == "true"


def test_nodes_of_one_cluster_differ_where_real_ones_do(default_cluster: StubCluster) -> None:
    def ask(expression: str) -> list[str]:
        return [node.eval(expression) for node in default_cluster.nodes]

    assert ask("mongoose_domain_core:domains_count()") == ["5", "3"]
    assert ask("length(mongoose_router:get_all_domains())") == ["2", "1"]
    assert ask('length(mongoose_component:lookup_component(<<"irc.acme.example">>, node()))') == ["1", "1"]
    assert ask('length(mongoose_component:lookup_component(<<"bots.acme.example">>, node()))') == ["1", "0"]
    cluster_ids = ask("mongoose_cluster_id:get_cached_cluster_id()")
    assert cluster_ids[0] == cluster_ids[1]


@pytest.mark.parametrize("key", ["listen", "outgoing_pools", *(f'{{{key}, <<"acme.example">>}}' for key in PER_HOST)])
def test_the_configuration_holds_passwords_that_a_test_can_look_for(default_cluster: StubCluster, key: str) -> None:
    assert SECRET_MARKER in default_cluster.nodes[0].eval(f"mongoose_config:get_opt({key})")


@pytest.mark.parametrize("scenario", scenarios())
def test_every_scenario_holds_marked_passwords(default_cluster: StubCluster, scenario: str) -> None:
    options = f'stub_config:options(stub_scenario:load("{HERE}/scenarios/{scenario}.terms", 1))'
    assert SECRET_MARKER in default_cluster.nodes[0].eval(options)
