%% The other metrics library.
-module(prometheus_counter).

-export([values/2]).

%% Names are char lists: a binary or an atom names no metric and gives [].
values(Registry, Name) ->
    Rows = ets:match_object(prometheus_counter_table, {{Registry, Name, '_'}, '_'}),
    [{Labels, Count} || {{_, _, Labels}, Count} <- Rows].
