%% The id that all nodes of a cluster share.
-module(mongoose_cluster_id).

-export([get_cached_cluster_id/0]).

%% Where to look is in the configuration, hence `badarg` while the application is stopped.
get_cached_cluster_id() ->
    _ = mongoose_config:get_opt(internal_databases),
    stub:get(cluster_id).
