% The transport protocols of the listeners for clients: tcp.
% Policy: "transport mechanisms".
{ok, Listeners} = mongoose_config:lookup_opt(listen),
lists:usort([Known(transport, Name) || #{module := mongoose_c2s_listener, proto := Name} <- Listeners])
