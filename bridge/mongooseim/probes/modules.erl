% The modules loaded for each host type, with the options that MongooseIM itself counts as metrics.
% Policy: "MongooseIM modules that are part of the open source project and are in use", some with their backend; and
% "the number of custom modules". Names that are not open source are counted in the bridge and go no further.
% Gives [{Modules, [{Module, Options}], HostTypes}], host types with the same modules and options as one entry. A host
% type is a number here, so that the answers of several nodes can be put together: its name stays in the node. An option
% value that is no atom and no API version stays here too. module_info loads a module, which function_exported would
% not. What is done per host type is left to compiled code as far as can be: there may be thousands of them.
Keys = [backend, online_backend, api_version],
Value = fun(Atom) when is_atom(Atom) -> Atom;
           (Version) when is_binary(Version), byte_size(Version) < 8 -> Version;
           (_) -> custom
        end,
HasMetrics = fun(Module) ->
    try lists:member({config_metrics, 1}, Module:module_info(exports)) catch _:_ -> false end
end,
Options = fun(Module, HostType) ->
    try [{Key, Value(Given)} || {Key, Given} <- Module:config_metrics(HostType), lists:member(Key, Keys)]
    catch _:_ -> []
    end
end,
HostTypes = lists:append([Hosts || Key <- [hosts, host_types], {ok, Hosts} <- [mongoose_config:lookup_opt(Key)]]),
Loaded = [{HostType, ordsets:from_list(gen_mod:loaded_modules(HostType))} || HostType <- HostTypes],
WithMetrics = lists:filter(HasMetrics, ordsets:union([Modules || {_, Modules} <- Loaded])),
Groups = lists:foldl(
    fun({HostType, Modules}, Found) ->
        Metrics = [{Module, Options(Module, HostType)} || Module <- ordsets:intersection(Modules, WithMetrics)],
        Key = {Modules, Metrics},
        Found#{Key => [erlang:phash2(HostType, 1 bsl 32) | maps:get(Key, Found, [])]}
    end, #{}, Loaded),
[{Modules, Metrics, Hashes} || {{Modules, Metrics}, Hashes} <- maps:to_list(Groups)]
