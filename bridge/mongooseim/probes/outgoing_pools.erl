% The types of the connection pools to other services (redis, rdbms, ...), one for each pool. Addresses and passwords
% stay in the node.
% Policy: the backends in use.
{ok, Pools} = mongoose_config:lookup_opt(outgoing_pools),
lists:sort([Known(pool, Type) || #{type := Type} <- Pools])
