%% What makes a plain node a MongooseIM node, and what a test turns while it runs.
%%
%%   stub:advance(xmppMessageSent, 5)   five more messages were sent
%%   stub:stop_mongooseim()             the application stops, the VM stays
%%   stub:start_mongooseim()            and starts again
%%   stub:set(version, "6.8.0-35-gabc123")
%%   stub:set({config, listen}, [])     another value of one option
%%   stub:unset({config, listen})       an option that is not there
%%
%% Any key of a scenario file (scenarios/default.terms has them all) can be set. Modules that MongooseIM itself has live in
%% this directory under their real names; what differs between releases lives in the directory "from-to".
-module(stub).

-export([boot/1, get/1, set/2, unset/1, advance/2, start_mongooseim/0, stop_mongooseim/0]).
-export([release/0, own_name/1]).

%% Called by `erl -run stub boot FILE INDEX`: the scenario, and which node of the cluster this is (1, 2, ...).
boot([File, Index]) ->
    Scenario = stub_scenario:load(File, list_to_integer(Index)),
    persistent_term:put(?MODULE, Scenario),
    add_release_paths(maps:get(release, Scenario)),
    [start_application(Application) || Application <- maps:get(applications, Scenario)],
    load_mongooseim(Scenario),
    start_mongooseim(),
    stub_metrics:start(Scenario),
    maps:get(started, Scenario) orelse stop_mongooseim(),
    ok.

get(Key) ->
    maps:get(Key, persistent_term:get(?MODULE)).

release() ->
    ?MODULE:get(release).

%% The name of the cluster's node with this index, as seen from here: only the digits differ.
own_name(Index) ->
    [Name, Host] = string:split(atom_to_list(node()), "@"),
    list_to_atom(string:trim(Name, trailing, "0123456789") ++ integer_to_list(Index) ++ "@" ++ Host).

set({config, Key}, Value) ->
    set(config, maps:put(Key, Value, ?MODULE:get(config)));
set(Key, Value) ->
    Scenario = maps:put(Key, Value, persistent_term:get(?MODULE)),
    persistent_term:put(?MODULE, Scenario),
    case lists:member(Key, [metrics, counters]) of
        true -> stub_metrics:start(Scenario);
        false -> renew(Scenario)
    end,
    ok.

unset({config, Key}) ->
    set(config, maps:remove(Key, ?MODULE:get(config))).

advance(StanzaType, Count) ->
    stub_metrics:advance(StanzaType, Count).

start_mongooseim() ->
    stub_metrics:mongooseim_started(),
    ok = application:start(mongooseim).

stop_mongooseim() ->
    ok = application:stop(mongooseim),
    stub_metrics:mongooseim_stopped().

%% The application with the new values, and the counters as they were.
renew(Scenario) ->
    Running = lists:keymember(mongooseim, 1, application:which_applications()),
    Running andalso (ok = application:stop(mongooseim)),
    ok = application:unload(mongooseim),
    load_mongooseim(Scenario),
    Running andalso (ok = application:start(mongooseim)).

load_mongooseim(#{version := Version, config_path := Path}) ->
    application:load(
        {application, mongooseim, [
            {description, "MongooseIM"},
            {vsn, Version},
            {applications, [kernel, stdlib]},
            {mod, {mongooseim_app, []}},
            {env, [{config, Path}]}
        ]}
    ).

start_application({Name, Description, Version}) ->
    ok = application:load({application, Name, [{description, Description}, {vsn, Version}]}),
    ok = application:start(Name).

%% src/6.2-6.8 is compiled to a directory of that name beside this module's; it goes on the path of these releases.
add_release_paths(Release) ->
    Common = filename:dirname(code:which(?MODULE)),
    Directories = filelib:wildcard("*-*", Common),
    [code:add_patha(filename:join(Common, D)) || D <- Directories, covers(string:split(D, "-"), Release)].

covers([From, To], Release) ->
    parse(From) =< Release andalso Release =< parse(To).

parse(Release) ->
    list_to_tuple([list_to_integer(Part) || Part <- string:split(Release, ".")]).
