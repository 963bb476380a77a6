#!/usr/bin/env escript
%% build.escript OUT: compiles src/ into OUT, src/FROM-TO/ into OUT/FROM-TO/, and makes one module for each line of
%% modules.terms and of the scenarios' `custom_modules`. Done once, with a compiler, for runtimes that have none.
main([Out]) ->
    Here = filename:dirname(filename:absname(escript:script_name())),
    Source = filename:join(Here, "src"),
    [compile(File, Out) || File <- filelib:wildcard(filename:join(Source, "*.erl"))],
    [compile(File, below(Out, File)) || File <- filelib:wildcard(filename:join(Source, "*-*/*.erl"))],
    true = code:add_patha(Out),
    {ok, Stock} = file:consult(filename:join(Here, "modules.terms")),
    Custom = stub_scenario:all_modules(filename:join(Here, "scenarios")),
    [generate(Module, Out) || Module <- Stock ++ Custom].

below(Out, File) ->
    Directory = filename:join(Out, filename:basename(filename:dirname(File))),
    ok = filelib:ensure_dir(filename:join(Directory, "any")),
    Directory.

compile(File, Out) ->
    case compile:file(File, [{outdir, Out}, return_errors, return_warnings, warnings_as_errors]) of
        {ok, _, []} -> ok;
        Problem -> fail(File, Problem)
    end.

fail(What, Problem) ->
    io:format(standard_error, "~tp: ~tp~n", [What, Problem]),
    halt(1).

generate({Name, Behaviours, Metrics}, Out) ->
    Attributes = [{attribute, 0, key(Name, B), B} || B <- Behaviours],
    Forms = [{attribute, 0, module, Name}, {attribute, 0, xep, [{xep, 0}, {version, "1.0"}]}] ++ Attributes,
    case compile:forms(Forms ++ function(Name, Metrics), [return_errors]) of
        {ok, Name, Beam} -> ok = file:write_file(filename:join(Out, atom_to_list(Name) ++ ".beam"), Beam);
        Problem -> fail(Name, Problem)
    end.

%% Both spellings occur in the real ones.
key(mod_amp, gen_mod) -> behavior;
key(_, _) -> behaviour.

function(_, none) ->
    [];
function(Name, Metrics) ->
    Call = {call, 0, {remote, 0, {atom, 0, stub_config}, {atom, 0, metrics}},
            [{var, 0, 'HostType'}, {atom, 0, Name}, erl_parse:abstract(Metrics)]},
    [{attribute, 0, export, [{config_metrics, 1}]},
     {function, 0, config_metrics, 1, [{clause, 0, [{var, 0, 'HostType'}], [], [Call]}]}].
