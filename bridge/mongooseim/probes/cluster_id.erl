% The random id of the cluster, the same on all its nodes: a UUID that is kept in RDBMS. One that is "ephemeral-..." and
% new with every restart of the whole cluster stays in the node, as does anything else that is no UUID.
% Policy: "a random Client ID is attached to each report". Only a persistent one is used.
{ok, ClusterId} = mongoose_cluster_id:get_cached_cluster_id(),
Uuid = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
case re:run(ClusterId, Uuid, [dollar_endonly, {capture, none}]) of
    match -> ClusterId;
    nomatch -> custom
end
