% The modules loaded for each host type, with the options that MongooseIM itself counts as metrics.
% Policy: "MongooseIM modules that are part of the open source project and are in use", some with their backend; and
% "the number of custom modules". Names that are not open source are counted in the bridge and go no further.
% Host types with the same modules and options come as one entry. A host type is a number here, so that the answers of
% several nodes can be put together: its name stays in the node. An option value that is no atom and no API version
% stays here too. module_info loads a module, which function_exported would not.
Keys = [backend, online_backend, api_version],
Value = fun(Atom) when is_atom(Atom) -> Atom;
           (Version) when is_binary(Version), byte_size(Version) < 8 -> Version;
           (_) -> custom
        end,
Options = fun(Module, HostType) ->
    try
        true = lists:member({config_metrics, 1}, Module:module_info(exports)),
        [{Key, Value(Given)} || {Key, Given} <- Module:config_metrics(HostType), lists:member(Key, Keys)]
    catch _:_ -> []
    end
end,
HostTypes = lists:append([Hosts || Key <- [hosts, host_types], {ok, Hosts} <- [mongoose_config:lookup_opt(Key)]]),
Loaded = fun(HostType) ->
    [{Module, Options(Module, HostType)} || Module <- lists:sort(gen_mod:loaded_modules(HostType))]
end,
maps:to_list(lists:foldl(
    fun(HostType, Groups) ->
        Modules = Loaded(HostType),
        Groups#{Modules => [erlang:phash2(HostType, 1 bsl 32) | maps:get(Modules, Groups, [])]}
    end, #{}, HostTypes))
