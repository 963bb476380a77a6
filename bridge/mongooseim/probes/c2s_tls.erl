% How the listeners for clients do TLS: the mode, and the TLS module in releases that name it (6.1 to 6.3).
% Policy: "transport mechanisms" (TLS). Certificates, keys and ciphers stay in the node.
{ok, Listeners} = mongoose_config:lookup_opt(listen),
Module = fun(#{module := Name}) -> Known(tls_module, Name); (_) -> undefined end,
lists:usort([{Known(tls_mode, Mode), Module(Tls)}
             || #{module := mongoose_c2s_listener, tls := #{mode := Mode} = Tls} <- Listeners])
