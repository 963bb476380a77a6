%% The components that are connected to the cluster. Every node knows all of them and who serves which.
-module(stub_component).

-export([domains/1, at/2]).

%% CETS has one row per domain and node that is up; Mnesia's keys are unique, and its tables outlive the application,
%% emptied.
domains(Which) ->
    case {stub:get(volatile_database), ets:info(?MODULE)} of
        {mnesia, undefined} -> [];
        {mnesia, _} -> lists:usort(rows(Which));
        {cets, _} -> rows(Which)
    end.

rows(Which) ->
    Rows = [Row || {_, Node, _} = Row <- ets:tab2list(?MODULE), lists:member(Node, [node() | nodes()])],
    [Domain || {Domain, _, Hidden} <- Rows, Which =:= all orelse not Hidden].

at(Domain, Node) ->
    case {stub:get(volatile_database), ets:info(?MODULE)} of
        {mnesia, undefined} -> [];
        _ -> [record(stub:release(), Row) || Row <- ets:match_object(?MODULE, {Domain, Node, '_'})]
    end.

%% The record has had two shapes.
record(Release, {Domain, Node, Hidden}) when Release >= {6, 4} ->
    {external_component, Domain, Node, false, Hidden, handler(fun mongoose_component:process_packet/5)};
record(_, {Domain, Node, Hidden}) ->
    {external_component, Domain, handler(fun ejabberd_service:process_packet/5), Node, Hidden}.

handler(Function) ->
    {packet_handler, Function, #{pid => whereis(init)}}.
