%% The configuration of 6.1: one persistent term per option. A missing option cannot be told from a stopped
%% application, so that a look-up answers `not_found` in both cases.
-module(mongoose_config).

-export([get_opt/1, get_opt/2, lookup_opt/1, get_config_path/0, publish/1, withdraw/0]).

get_opt([Key | Path]) ->
    lists:foldl(fun maps:get/2, persistent_term:get({?MODULE, Key}), Path);
get_opt(Key) ->
    persistent_term:get({?MODULE, Key}).

get_opt(Key, Default) ->
    case lookup_opt(Key) of
        {ok, Value} -> Value;
        {error, not_found} -> Default
    end.

lookup_opt(Key) ->
    try
        {ok, get_opt(Key)}
    catch
        error:badarg -> {error, not_found};
        error:{badkey, _} -> {error, not_found}
    end.

get_config_path() ->
    application:get_env(mongooseim, config, "etc/mongooseim.toml").

publish(Options) ->
    maps:foreach(fun(Key, Value) -> persistent_term:put({?MODULE, Key}, Value) end, Options).

withdraw() ->
    [persistent_term:erase(Term) || {{?MODULE, _} = Term, _} <- persistent_term:get()].
