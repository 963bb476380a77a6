%% The application: its tables live and die with it, and so does its configuration.
-module(mongooseim_app).
-behaviour(application).
-behaviour(supervisor).

-export([start/2, stop/1, init/1]).

start(_, _) ->
    Scenario = persistent_term:get(stub),
    mongoose_config:publish(stub_config:options(Scenario)),
    supervisor:start_link({local, ejabberd_sup}, ?MODULE, Scenario).

stop(_) ->
    mongoose_config:withdraw().

init(#{domain_count := Domains, routes := Routes, components := Components}) ->
    table(mongoose_domain_core, [{domain(N), <<"some type">>, dummy_source} || N <- lists:seq(1, Domains)]),
    table(mongoose_router, [{Route, mongoose_local_delivery} || Route <- Routes]),
    table(stub_component, [{Domain, stub:own_name(Index), Hidden} || {Domain, Index, Hidden} <- Components]),
    {ok, {#{}, []}}.

table(Name, Rows) ->
    ets:new(Name, [named_table, public, bag]),
    ets:insert(Name, Rows).

domain(N) ->
    iolist_to_binary(io_lib:format("domain-~B.example", [N])).
