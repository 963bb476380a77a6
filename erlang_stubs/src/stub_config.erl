%% The whole configuration of a scenario as MongooseIM keeps it: one map, with the modules of a host type under
%% `{modules, HostType}`. It holds every password of the scenario, as a real one does.
-module(stub_config).

-export([options/1, metrics/3]).

options(#{config := #{hosts := Hosts, host_types := HostTypes} = Config, modules := Modules} = Scenario) ->
    Loaded = maps:from_list([{HostType, modules_of(HostType, Modules)} || HostType <- Hosts ++ HostTypes]),
    {Count, Like} = maps:get(many_host_types, Scenario),
    Further = [iolist_to_binary(io_lib:format("type ~6..0B", [I])) || I <- lists:seq(1, Count)],
    All = maps:merge(Loaded, maps:from_list([{HostType, maps:get(Like, Loaded)} || HostType <- Further])),
    Options = maps:fold(fun(HostType, M, Known) -> Known#{{modules, HostType} => M} end, Config, All),
    Options#{host_types := HostTypes ++ Further}.

modules_of(HostType, Modules) ->
    lists:foldl(fun maps:merge/2, #{}, [M || {HostTypes, M} <- Modules, lists:member(HostType, HostTypes)]).

%% What `config_metrics/1` of a module answers, by the way the module has of it (modules.terms).
metrics(HostType, Module, {options, Names}) ->
    Options = gen_mod:get_module_opts(HostType, Module),
    case [{Name, maps:get(Name, Options)} || Name <- Names, is_map_key(Name, Options)] of
        Found when length(Found) =:= length(Names) -> Found;
        _ -> [{none, none}]
    end;
metrics(HostType, Module, sections) ->
    case gen_mod:get_module_opts(HostType, Module) of
        None when None =:= #{} -> [{none, none}];
        Options -> [{backend, Section} || Section <- maps:keys(Options)]
    end;
metrics(_, _, {answers, Answer}) ->
    Answer;
metrics(_, _, {fails, Reason}) ->
    error(Reason).
