% The types of the connection pools to other services (redis, rdbms, ...). Addresses and passwords stay in the node.
% Policy: the backends in use.
{ok, Pools} = mongoose_config:lookup_opt(outgoing_pools),
lists:usort([Type || #{type := Type} <- Pools, is_atom(Type)])
