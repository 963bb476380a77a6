%% Reads a scenario file: `{Key, Value}.` terms, with four words of its own.
%%
%%   {extends, default}.      everything of scenarios/default.terms first; what is said here wins
%%   {config, #{...}}.        merged option by option into what is there
%%   {without, [Key]}.        options that are not there
%%   {on_node, 2, [Terms]}.   the same, on the second node only
-module(stub_scenario).

-export([load/2, all_modules/1]).

load(File, Index) ->
    lists:foldl(fun add/2, #{}, terms(File, Index)).

%% Every module that some scenario file of a directory declares as its own, for the build.
all_modules(Directory) ->
    Files = filelib:wildcard(filename:join(Directory, "*.terms")),
    lists:usort(lists:append([Modules || File <- Files, {custom_modules, Modules} <- terms(File, 1)])).

%% A file's terms in order of strength: those it extends, its own, its own for this node.
terms(File, Index) ->
    {ok, Terms} = file:consult(File),
    Extended = [terms(sibling(File, Name), Index) || {extends, Name} <- Terms],
    Own = [Term || {Key, _} = Term <- Terms, Key =/= extends],
    OfNode = [NodeTerms || {on_node, I, NodeTerms} <- Terms, I =:= Index],
    lists:append(Extended ++ [Own] ++ OfNode).

sibling(File, Name) ->
    filename:join(filename:dirname(File), atom_to_list(Name) ++ ".terms").

add({config, Options}, Scenario) ->
    maps:update_with(config, fun(Known) -> maps:merge(Known, Options) end, Options, Scenario);
add({without, Keys}, Scenario) ->
    maps:update_with(config, fun(Known) -> maps:without(Keys, Known) end, Scenario);
add({Key, Value}, Scenario) ->
    maps:put(Key, Value, Scenario).
