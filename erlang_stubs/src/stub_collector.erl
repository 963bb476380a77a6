%% The events that MongooseIM's own reporter makes, written from a description of it, with what is wrong in them: this
%% is what `mongooseim-bridge compare` has to explain.
%%
%%   - the modules of all host types are reported for each of them, loaded there or not
%%   - a stock module that does not declare mongoose_module_metrics counts as custom
%%   - a custom module that declares it is disclosed by name, and so is a custom backend
%%   - tls_option needs a `module` in the listener's tls, which there is none of since 6.4
%%   - http_api leaves out handlers that are shipped
%%   - an increment is negative when the total has gone down
%%   - one failing fact fails them all
-module(stub_collector).

-export([collect/2]).

collect(Previous, Library) ->
    [event(host_count, #{value => length(host_types())})] ++
        [event(domain_count, #{value => mongoose_domain_core:domains_count()})] ++
        modules() ++
        [event(custom_module_count, #{value => length(declaring(gen_mod) -- declaring(mongoose_module_metrics))})] ++
        [event(cluster, cluster())] ++
        [event(http_api, enabled([Handler || Handler <- handlers(), lists:member(Handler, reported_handlers())]))] ++
        [event(transport_mechanism, enabled(transports()))] ++
        [event(tls_option, #{mode => Mode, module => Module}) || {Mode, Module} <- tls_options()] ++
        [event(outgoing_pool, #{value => Type}) || #{type := Type} <- mongoose_config:get_opt(outgoing_pools)] ++
        stanza_counts(Previous, Library).

event(Name, Params) ->
    #{name => Name, params => Params}.

enabled(Names) ->
    maps:from_list([{Name, enabled} || Name <- Names]).

host_types() ->
    mongoose_config:get_opt(hosts) ++ mongoose_config:get_opt(host_types).

modules() ->
    Modules = declaring(mongoose_module_metrics),
    [
        event(module_with_opt, maps:put(module, Module, options(HostType, Module)))
     || HostType <- host_types(), Module <- Modules
    ].

options(HostType, Module) ->
    case erlang:function_exported(Module, config_metrics, 1) of
        true -> maps:remove(none, maps:from_list(Module:config_metrics(HostType)));
        false -> #{}
    end.

declaring(Behaviour) ->
    Loaded = lists:usort(lists:flatmap(fun gen_mod:loaded_modules/1, host_types())),
    [Module || Module <- Loaded, declares(Behaviour, Module)].

declares(Behaviour, Module) ->
    try lists:keyfind([Behaviour], 2, Module:module_info(attributes)) of
        {Key, _} -> Key =:= behaviour orelse Key =:= behavior;
        false -> false
    catch
        error:undef -> false
    end.

cluster() ->
    {Milliseconds, _} = statistics(wall_clock),
    {Days, {Hours, Minutes, Seconds}} = calendar:seconds_to_daystime(Milliseconds div 1000),
    Uptime = io_lib:format("~4..0B-~2..0B:~2..0B:~2..0B", [Days, Hours, Minutes, Seconds]),
    {_, _, Version} = lists:keyfind(mongooseim, 1, application:which_applications()),
    #{
        uptime => iolist_to_binary(Uptime),
        version => list_to_binary(Version),
        component => components(),
        node_number => length(nodes()) + 1,
        config_type => config_type(filename:extension(mongoose_config:get_config_path()))
    }.

components() ->
    Router = case stub:release() of
        {6, 1} -> ejabberd_router;
        _ -> mongoose_component
    end,
    Domains = mongoose_router:get_all_domains() ++ Router:dirty_get_all_components(all),
    length([Component || Domain <- Domains, Component <- Router:lookup_component(Domain, node())]).

config_type(".toml") -> toml;
config_type(".cfg") -> cfg;
config_type(_) -> unknown_config_type.

listeners(Wanted) ->
    [Listener || #{module := Module} = Listener <- mongoose_config:get_opt(listen), Module =:= Wanted].

handlers() ->
    lists:usort([Handler || #{handlers := All} <- listeners(ejabberd_cowboy), #{module := Handler} <- All]).

reported_handlers() ->
    case stub:release() >= {6, 6} of
        true -> [mongoose_bosh_handler, mongoose_graphql_handler, mongoose_websocket_handler];
        false -> [mongoose_client_api, mongoose_admin_api, mod_bosh, mod_websockets]
    end.

transports() ->
    OverHttp = [mongoose_bosh_handler, mongoose_websocket_handler, mod_bosh, mod_websockets],
    [Handler || Handler <- handlers(), lists:member(Handler, OverHttp), lists:member(Handler, reported_handlers())] ++
        [tcp || #{proto := tcp} <- listeners(mongoose_c2s_listener)].

tls_options() ->
    Options = [{Mode, M} || #{tls := #{mode := Mode, module := M}} <- listeners(mongoose_c2s_listener)],
    lists:reverse(lists:usort(Options)).

stanza_counts(_, none) ->
    [];
stanza_counts(Previous, Library) ->
    Before = maps:from_list([
        {Type, Total}
     || #{name := xmpp_stanza_count, params := #{stanza_type := Type, total := Total}} <- Previous
    ]),
    [
        event(xmpp_stanza_count, #{stanza_type => Type, total => Total, increment => Total - maps:get(Type, Before, 0)})
     || {Type, Direction, What} <- counters(), Total <- [total(Library, Type, Direction, What)]
    ].

counters() ->
    [
        {xmppMessageSent, "in", "message_count"}, {xmppMessageReceived, "out", "message_count"},
        {xmppIqSent, "in", "iq_count"}, {xmppIqReceived, "out", "iq_count"},
        {xmppPresenceSent, "in", "presence_count"}, {xmppPresenceReceived, "out", "presence_count"}
    ].

total(exometer, Type, Direction, What) ->
    Pattern = case stub:release() of
        Release when Release < {6, 3} -> ['_', Type];
        {6, 3} -> ['_', list_to_atom("c2s_element_" ++ Direction), list_to_atom(What)];
        _ -> ['_', list_to_atom("xmpp_element_" ++ Direction), '_', list_to_atom(What)]
    end,
    lists:sum([Count || {_, [{count, Count}, {one, _}]} <- exometer:get_values(Pattern)]);
total(prometheus, _, Direction, What) ->
    Name = "xmpp_element_" ++ Direction ++ "_" ++ What,
    lists:sum([Count || {_, Count} <- prometheus_counter:values(default, Name)]).
