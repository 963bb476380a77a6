% What MongooseIM's own reporter would send from this node, as [{Event, [{Param, Value}]}]: for `compare` only.
% Its collector takes the previous report; from 6.4 on also whether exometer is on, and from 6.6 on which metrics are
% kept. A call that does not fit the release fails with function_clause before it does anything.
{module, Collector} = code:ensure_loaded(mongoose_system_metrics_collector),
Kept = case mongoose_config:lookup_opt(instrumentation) of
    {ok, #{prometheus := _}} -> prometheus;
    {ok, #{exometer := _}} -> exometer;
    _ -> none
end,
Exometer = case mongoose_config:lookup_opt(instrumentation) of
    {ok, Instrumentation} -> is_map_key(exometer, Instrumentation);
    _ -> true
end,
Events = case erlang:function_exported(Collector, collect, 1) of
    true -> Collector:collect([]);
    false ->
        try Collector:collect([], Kept)
        catch error:function_clause -> Collector:collect([], Exometer)
        end
end,
[{Name, maps:to_list(Params)} || #{name := Name, params := Params} <- Events]
