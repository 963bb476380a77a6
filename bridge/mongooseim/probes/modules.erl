% The modules loaded for each host type, with the options that MongooseIM itself counts as metrics.
% Policy: "MongooseIM modules that are part of the open source project and are in use", some with their backend; and
% "the number of custom modules".
% Gives {[{Modules, [{Module, Options}], HostTypes}], Custom}; equal host types are one entry.
% A host type and a custom module are numbers here, so that the answers of several nodes can be put together: their
% names stay in the node, and a custom module is not asked for its options. module_info loads a module, which
% function_exported would not. What is done per host type is left to compiled code as far as can be, and names are
% filtered once per group: there may be thousands of host types.
Keys = [backend, online_backend, api_version],
HasMetrics = fun(Module) ->
    try lists:member({config_metrics, 1}, Module:module_info(exports)) catch _:_ -> false end
end,
Options = fun(Module, HostType) ->
    try [Option || {Key, _} = Option <- Module:config_metrics(HostType), lists:member(Key, Keys)]
    catch _:_ -> []
    end
end,
Number = fun(Name) -> erlang:phash2(Name, 1 bsl 32) end,
HostTypes = lists:append([Hosts || Key <- [hosts, host_types], {ok, Hosts} <- [mongoose_config:lookup_opt(Key)]]),
Loaded = [{HostType, ordsets:from_list(gen_mod:loaded_modules(HostType))} || HostType <- HostTypes],
All = ordsets:union([Modules || {_, Modules} <- Loaded]),
Stock = ordsets:intersection(All, ordsets:from_list(maps:get(module, Words))),
WithMetrics = lists:filter(HasMetrics, Stock),
Groups = lists:foldl(
    fun({HostType, Modules}, Found) ->
        Metrics = [{Module, Options(Module, HostType)} || Module <- ordsets:intersection(Modules, WithMetrics)],
        Key = {Modules, Metrics},
        Found#{Key => [Number(HostType) | maps:get(Key, Found, [])]}
    end, #{}, Loaded),
Filter = fun(Metrics) ->
    [{Module, [{Key, Known(Key, Value)} || {Key, Value} <- Given]} || {Module, Given} <- Metrics]
end,
{[{ordsets:intersection(Modules, Stock), Filter(Metrics), Numbers}
  || {{Modules, Metrics}, Numbers} <- maps:to_list(Groups)],
 lists:map(Number, ordsets:subtract(All, Stock))}
