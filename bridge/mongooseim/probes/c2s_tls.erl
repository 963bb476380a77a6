% How the listeners for clients do TLS: the mode, and the TLS module in releases that name it (6.1 to 6.3).
% Policy: "transport mechanisms" (TLS). Certificates, keys and ciphers stay in the node.
{ok, Listeners} = mongoose_config:lookup_opt(listen),
Name = fun(Atom) when is_atom(Atom) -> Atom; (_) -> custom end,
lists:usort([{Name(Mode), Name(maps:get(module, Tls, undefined))}
             || #{module := mongoose_c2s_listener, tls := #{mode := Mode} = Tls} <- Listeners])
