%% The configuration: one map in one persistent term.
%%
%% As in the real node, an option that is missing fails inside `maps:get/2`, whose stack trace holds its arguments:
%% the whole configuration, passwords included.
-module(mongoose_config).

-export([get_opt/1, get_opt/2, lookup_opt/1, get_config_path/0, publish/1, withdraw/0]).

get_opt(Path) when is_list(Path) ->
    lists:foldl(fun maps:get/2, persistent_term:get(?MODULE), Path);
get_opt(Key) ->
    get_opt([Key]).

get_opt(Key, Default) ->
    try
        get_opt(Key)
    catch
        error:{badkey, _} -> Default
    end.

lookup_opt(Key) ->
    try
        {ok, get_opt(Key)}
    catch
        error:{badkey, _} -> {error, not_found}
    end.

get_config_path() ->
    application:get_env(mongooseim, config, "etc/mongooseim.toml").

publish(Options) ->
    persistent_term:put(?MODULE, Options).

withdraw() ->
    persistent_term:erase(?MODULE).
