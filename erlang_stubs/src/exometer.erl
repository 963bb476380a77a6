%% The metrics library that every release has.
-module(exometer).

-export([get_values/1]).

%% A pattern that matches no metric gives []; `'_'` in it stands for anything.
get_values(Pattern) ->
    [{Name, [{count, Count}, {one, 0}]} || {Name, Count} <- ets:match_object(stub_exometer, {Pattern, '_'})].
