% The random id of the cluster, the same on all its nodes: kept in RDBMS, or "ephemeral-..." and new with every restart
% of the whole cluster.
% Policy: "a random Client ID is attached to each report". Only a persistent one is used.
{ok, ClusterId} = mongoose_cluster_id:get_cached_cluster_id(),
ClusterId
