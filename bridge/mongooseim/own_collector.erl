% What MongooseIM's own reporter would send from this node, as [{Event, [{Param, Value}]}]: for `compare` only.
% Its collector takes the previous report; from 6.4 on also whether exometer is on, and from 6.6 on which metrics are
% kept. A call that does not fit the release fails with function_clause before it does anything. Numbers, uptimes,
% releases and words that MongooseIM itself ships leave the node as they are, and custom for anything else.
{module, Collector} = code:ensure_loaded(mongoose_system_metrics_collector),
{Kept, Exometer} = case mongoose_config:lookup_opt(instrumentation) of
    {ok, #{prometheus := _} = Instrumentation} -> {prometheus, is_map_key(exometer, Instrumentation)};
    {ok, #{exometer := _}} -> {exometer, true};
    _ -> {none, false}
end,
Events = case erlang:function_exported(Collector, collect, 1) of
    true -> Collector:collect([]);
    false ->
        try Collector:collect([], Kept)
        catch error:function_clause -> Collector:collect([], Exometer)
        end
end,
Text = "^(\\d{4,}-\\d\\d:\\d\\d:\\d\\d|\\d{1,3}\\.\\d{1,3}\\.\\d{1,3})$",
Shown = fun
    (Number) when is_integer(Number) -> Number;
    (Value) ->
        try re:run(Value, Text, [dollar_endonly, {capture, none}]) of
            match -> Value;
            nomatch -> Known(word, Value)
        catch _:_ -> Known(word, Value)
        end
end,
[{Shown(Name), [{Shown(Key), Shown(Value)} || {Key, Value} <- maps:to_list(Params)]}
 || #{name := Name, params := Params} <- Events]
