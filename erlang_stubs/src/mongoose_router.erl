%% The domains that have a route on this node.
-module(mongoose_router).

-export([get_all_domains/0]).

get_all_domains() ->
    ets:select(?MODULE, [{{'$1', '_'}, [], ['$1']}]).
