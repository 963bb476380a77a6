% Asks all probes at once, each in a process of its own, and gives [{Name, {ok, Value} | {failed, Class, Tag}}].
% One that fails or hangs costs its own fact and nothing else. Of a failure only its class and a known tag leave the
% node: a reason or a stack trace here can carry the whole configuration with its passwords. The processes are linked to
% this one, so that nothing is left behind when the bridge gives up.
(fun(Probes) ->
    Tags = [badarg, badarith, badmatch, badkey, badmap, case_clause, function_clause, if_clause, noproc, timeout, undef],
    Tag = fun(Reason) ->
        Kind = case is_tuple(Reason) andalso tuple_size(Reason) > 0 of
            true -> element(1, Reason);
            false -> Reason
        end,
        case lists:member(Kind, Tags) of true -> Kind; false -> other end
    end,
    Ask = fun({Name, Probe}) ->
        Asker = self(),
        Question = make_ref(),
        Pid = spawn_link(fun() ->
            Asker ! {Question, try {ok, Probe()} catch Class:Reason -> {failed, Class, Tag(Reason)} end}
        end),
        {Name, Pid, Question}
    end,
    Deadline = erlang:monotonic_time(millisecond) + 8000,
    Take = fun({Name, Pid, Question}) ->
        receive {Question, Answer} -> {Name, Answer}
        after max(0, Deadline - erlang:monotonic_time(millisecond)) ->
            unlink(Pid),
            exit(Pid, kill),
            {Name, {failed, exit, timeout}}
        end
    end,
    [Take(Asked) || Asked <- [Ask(Probe) || Probe <- Probes]]
end)([
