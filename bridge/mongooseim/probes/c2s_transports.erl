% The transport protocols of the listeners for clients: tcp.
% Policy: "transport mechanisms".
{ok, Listeners} = mongoose_config:lookup_opt(listen),
lists:usort([Protocol || #{module := mongoose_c2s_listener, proto := Protocol} <- Listeners, is_atom(Protocol)])
