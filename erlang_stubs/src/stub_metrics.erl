%% The stanza counters, kept as the two metrics libraries keep them: one row per host type and kind of connection, in
%% ETS tables of a process that lives as long as the node. A library that is not started has no table, hence `badarg`.
-module(stub_metrics).

-export([start/1, advance/2, mongooseim_started/0, mongooseim_stopped/0]).

%% Both libraries get all counters afresh, at the scenario's totals.
start(#{metrics := Backends, counters := Totals} = Scenario) ->
    stop_keeper(),
    Caller = self(),
    {Keeper, Monitor} = spawn_monitor(fun() ->
        register(?MODULE, self()),
        [open(Backend) || Backend <- Backends],
        declare(Scenario),
        [add(Type, Total, hd(host_types(Scenario))) || {Type, Total} <- maps:to_list(Totals)],
        Caller ! {?MODULE, ready},
        receive
            stop -> ok
        end
    end),
    receive
        {?MODULE, ready} -> demonitor(Monitor, [flush]);
        {'DOWN', Monitor, process, Keeper, Reason} -> error(Reason)
    end,
    ok.

advance(StanzaType, Count) ->
    add(StanzaType, Count, hd(host_types(persistent_term:get(stub)))),
    ok.

%% MongooseIM takes its exometer metrics away when it stops; those of prometheus stay. Both start at 0 when it starts.
mongooseim_stopped() ->
    has(exometer) andalso ets:delete_all_objects(stub_exometer),
    ok.

mongooseim_started() ->
    has(prometheus) andalso ets:delete_all_objects(prometheus_counter_table),
    declare(persistent_term:get(stub)),
    ok.

host_types(Scenario) ->
    #{hosts := Hosts, host_types := HostTypes} = stub_config:options(Scenario),
    Hosts ++ HostTypes.

stop_keeper() ->
    case whereis(?MODULE) of
        undefined ->
            ok;
        Keeper ->
            Monitor = monitor(process, Keeper),
            Keeper ! stop,
            receive
                {'DOWN', Monitor, process, Keeper, _} -> ok
            end
    end.

open(exometer) -> ets:new(stub_exometer, [named_table, public, ordered_set]);
open(prometheus) -> ets:new(prometheus_counter_table, [named_table, public, ordered_set]).

table(exometer) -> stub_exometer;
table(prometheus) -> prometheus_counter_table.

has(Backend) ->
    ets:info(table(Backend)) =/= undefined.

%% The libraries that run and that the configuration names; before 6.3 there is only exometer, and no option to say so.
counting(#{config := Config}) ->
    Named = maps:get(instrumentation, Config, #{exometer => #{}}),
    [Backend || Backend <- [exometer, prometheus], has(Backend), is_map_key(Backend, Named)].

declare(#{release := Release} = Scenario) ->
    Types = [
        xmppMessageSent, xmppMessageReceived, xmppIqSent, xmppIqReceived, xmppPresenceSent, xmppPresenceReceived
    ],
    [
        ets:insert_new(table(Backend), {key(Backend, Release, Type, HostType, Connection), 0})
     || Backend <- counting(Scenario),
        {HostType, Connection} <- owners(Release, host_types(Scenario)),
        Type <- Types
    ].

%% Traffic that belongs to no host type is counted too since 6.4.
owners(Release, HostTypes) when Release >= {6, 4} ->
    [{<<>>, Connection} || Connection <- [c2s, component, s2s]] ++
        [{HostType, Connection} || HostType <- HostTypes, Connection <- [c2s, s2s]];
owners(_, HostTypes) ->
    [{HostType, c2s} || HostType <- HostTypes].

add(Type, Count, HostType) ->
    [
        ets:update_counter(table(Backend), key(Backend, stub:release(), Type, HostType, c2s), Count)
     || Backend <- counting(persistent_term:get(stub))
    ].

key(prometheus, {6, 3}, Type, HostType, _) ->
    {default, prometheus_name("c2s", in_and_out(Type)), [{"host_type", HostType}]};
key(prometheus, _, Type, HostType, Connection) ->
    {default, prometheus_name("xmpp", in_and_out(Type)), [{"connection_type", Connection}, {"host_type", HostType}]};
key(exometer, Release, Type, HostType, _) when Release < {6, 3} ->
    [exometer_name(HostType), Type];
key(exometer, {6, 3}, Type, HostType, _) ->
    {Direction, Count} = in_and_out(Type),
    [exometer_name(HostType), element_metric("c2s", Direction), Count];
key(exometer, _, Type, HostType, Connection) ->
    {Direction, Count} = in_and_out(Type),
    [exometer_name(HostType), element_metric("xmpp", Direction), Connection, Count].

%% What comes in from a client is what the client sent.
in_and_out(xmppMessageSent) -> {in, message_count};
in_and_out(xmppMessageReceived) -> {out, message_count};
in_and_out(xmppIqSent) -> {in, iq_count};
in_and_out(xmppIqReceived) -> {out, iq_count};
in_and_out(xmppPresenceSent) -> {in, presence_count};
in_and_out(xmppPresenceReceived) -> {out, presence_count}.

prometheus_name(Whose, {Direction, Count}) ->
    Whose ++ "_element_" ++ atom_to_list(Direction) ++ "_" ++ atom_to_list(Count).

element_metric(Whose, in) -> list_to_atom(Whose ++ "_element_in");
element_metric(Whose, out) -> list_to_atom(Whose ++ "_element_out").

%% exometer has `global` for no host type, and no spaces.
exometer_name(<<>>) -> global;
exometer_name(HostType) -> binary:replace(HostType, <<" ">>, <<"_">>, [global]).
