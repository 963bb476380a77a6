% Asks all probes at once, each in a process of its own, and gives [{Name, {ok, Value} | {failed, Class, Tag}}].
% One that fails or hangs costs its own fact and nothing else, whatever it does to its process or is linked to. Of a
% failure only its class and a known tag leave the node: a reason or a stack trace here can carry the whole
% configuration with its passwords. A keeper kills every process that is left when the answers are there, or when the
% bridge gives up; so nothing is left behind, though a custom module traps exits.
(fun(Probes) ->
    Tags = [badarg, badarith, badmatch, badkey, badmap, case_clause, function_clause, if_clause, noproc, timeout, undef],
    Tag = fun(Reason) ->
        Kind = case is_tuple(Reason) andalso tuple_size(Reason) > 0 of
            true -> element(1, Reason);
            false -> Reason
        end,
        case lists:member(Kind, Tags) of true -> Kind; false -> other end
    end,
    Asker = self(),
    Keep = fun() ->
        Keeper = self(),
        Gone = monitor(process, Asker),
        Ask = fun({Name, Probe}) ->
            Question = make_ref(),
            {Pid, Down} = spawn_monitor(fun() ->
                Keeper ! {Question, try {ok, Probe()} catch Class:Reason -> {failed, Class, Tag(Reason)} end}
            end),
            {Name, Pid, Down, Question}
        end,
        Asked = [Ask(Probe) || Probe <- Probes],
        Deadline = erlang:monotonic_time(millisecond) + 8000,
        Take = fun({Name, _, Down, Question}) ->
            receive
                {Question, Answer} -> {Name, Answer};
                {'DOWN', Down, _, _, Reason} -> {Name, {failed, exit, Tag(Reason)}};
                {'DOWN', Gone, _, _, _} = Stop -> Keeper ! Stop, {Name, {failed, exit, noproc}}
            after max(0, Deadline - erlang:monotonic_time(millisecond)) ->
                {Name, {failed, exit, timeout}}
            end
        end,
        Answers = lists:map(Take, Asked),
        [exit(Pid, kill) || {_, Pid, _, _} <- Asked],
        Asker ! {Keeper, Answers}
    end,
    {Keeper, Down} = spawn_monitor(Keep),
    receive
        {Keeper, Answers} -> demonitor(Down, [flush]), Answers;
        {'DOWN', Down, _, _, _} -> []
    end
end)([
