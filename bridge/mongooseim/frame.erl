% Asks all probes at once, each in a process of its own, and gives [{Name, {ok, Value} | {failed, Class, Tag}}].
% One that fails or hangs costs its own fact and nothing else, whatever it does to its process or is linked to. A keeper
% kills every process that is left when the answers are there, or when the bridge gives up; so nothing is left behind,
% though a custom module traps exits. Limit is how many milliseconds the probes have, OwnName the name of the bridge.
% No name of your own leaves the node: Known gives a value that is in a list of Words, and custom for any other. Of a
% failure only its class and a known tag leave: a reason or a stack trace here can carry the whole configuration with
% its passwords. The process that asks traps exits, since the bridge would be sent the reason with which it ends.
(fun(Limit, OwnName, Words, Probes) ->
    Known = fun(List, Value) ->
        Word = try
            if
                is_binary(Value) -> binary_to_existing_atom(Value, latin1);
                is_list(Value) -> list_to_existing_atom(Value);
                true -> Value
            end
        catch _:_ -> custom
        end,
        case lists:member(Word, maps:get(List, Words)) of true -> Word; false -> custom end
    end,
    Failed = fun
        (Class, Reason) when is_tuple(Reason), tuple_size(Reason) > 0 ->
            {failed, Class, Known(failure, element(1, Reason))};
        (Class, Reason) ->
            {failed, Class, Known(failure, Reason)}
    end,
    Asker = self(),
    Trapped = process_flag(trap_exit, true),
    Keep = fun() ->
        process_flag(trap_exit, true),
        Keeper = self(),
        Gone = monitor(process, Asker),
        Run = fun(Probe, Question) ->
            Answer = try {ok, Probe(Known, Words, OwnName)} catch Class:Reason -> Failed(Class, Reason) end,
            Keeper ! {Question, Answer}
        end,
        Ask = fun({Name, Probe}) ->
            Question = make_ref(),
            {Pid, Down} = spawn_monitor(erlang, apply, [Run, [Probe, Question]]),
            {Name, Pid, Down, Question}
        end,
        Asked = [Ask(Probe) || Probe <- Probes],
        Deadline = erlang:monotonic_time(millisecond) + Limit,
        Take = fun({Name, _, Down, Question}) ->
            receive
                {Question, Answer} -> {Name, Answer};
                {'DOWN', Down, _, _, Reason} -> {Name, Failed(exit, Reason)};
                {'DOWN', Gone, _, _, _} = Stop -> Keeper ! Stop, {Name, Failed(exit, noproc)}
            after max(0, Deadline - erlang:monotonic_time(millisecond)) ->
                {Name, Failed(exit, timeout)}
            end
        end,
        Answers = lists:map(Take, Asked),
        [exit(Pid, kill) || {_, Pid, _, _} <- Asked],
        Asker ! {Keeper, Answers}
    end,
    {Keeper, Down} = spawn_monitor(Keep),
    Given = receive
        {Keeper, Answers} -> demonitor(Down, [flush]), Answers;
        {'DOWN', Down, _, _, _} -> []
    end,
    process_flag(trap_exit, Trapped),
    Given
end)
