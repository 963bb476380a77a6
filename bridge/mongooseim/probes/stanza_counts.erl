% How many stanzas clients and servers exchanged, by type and direction, as {Life, [{Type, Count}]}. Counters start at 0
% whenever the application starts; Life is a number that stays the same until it stops, and that no other start has.
% Policy: the load of an installation, never who talked to whom. "In" to the server is what MongooseIM reports as Sent.
% Prometheus is preferred to exometer, as 6.6 does it; before 6.3 there was only exometer and no key to say so. The
% names changed with 6.3 and 6.4, and a name of another release answers []: the first that answers is the right one.
% none: no metrics are kept. Names of prometheus counters are strings; anything else silently answers [].
Stanzas = [{xmppMessageSent, "in", "message"}, {xmppMessageReceived, "out", "message"},
           {xmppIqSent, "in", "iq"}, {xmppIqReceived, "out", "iq"},
           {xmppPresenceSent, "in", "presence"}, {xmppPresenceReceived, "out", "presence"}],
Prometheus = fun(Prefix) ->
    fun({_, Direction, Kind}) ->
        prometheus_counter:values(default, Prefix ++ Direction ++ "_" ++ Kind ++ "_count")
    end
end,
Exometer = fun(Pattern) ->
    fun(Stanza) ->
        [{Metric, Count} || {Metric, [{count, Count} | _]} <- exometer:get_values(['_' | Pattern(Stanza)])]
    end
end,
Name = fun(Parts) -> list_to_atom(lists:append(Parts)) end,
Sources = case mongoose_config:lookup_opt(instrumentation) of
    {ok, #{prometheus := _}} ->
        [Prometheus("xmpp_element_"), Prometheus("c2s_element_")];
    {ok, #{exometer := _}} ->
        [Exometer(fun({_, Direction, Kind}) ->
            [Name(["xmpp_element_", Direction]), '_', Name([Kind, "_count"])]
         end),
         Exometer(fun({_, Direction, Kind}) -> [Name(["c2s_element_", Direction]), Name([Kind, "_count"])] end)];
    {ok, _} ->
        [];
    {error, not_found} ->
        [Exometer(fun({Type, _, _}) -> [Type] end)]
end,
Read = fun(Source) ->
    [{Type, lists:sum([Count || {_, Count} <- Source(Stanza)])} || {Type, _, _} = Stanza <- Stanzas]
end,
Answers = fun(Source) -> lists:any(fun(Stanza) -> Source(Stanza) =/= [] end, Stanzas) end,
true = is_pid(Supervisor = whereis(ejabberd_sup)),
Life = erlang:phash2({erlang:system_info(creation), Supervisor}, 1 bsl 32),
case {Sources, lists:filter(Answers, Sources)} of
    {[], _} -> none;
    {_, [Source | _]} -> {Life, Read(Source)};
    {[Source | _], []} -> {Life, Read(Source)}
end
