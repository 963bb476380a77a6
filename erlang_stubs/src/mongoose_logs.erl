%% Where the node writes its logs.
-module(mongoose_logs).

-export([dir/0]).

dir() ->
    stub:get(logs_dir).
