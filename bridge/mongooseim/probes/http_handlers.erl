% The modules that handle HTTP, of all HTTP listeners: APIs, BOSH, WebSocket. Nothing else of a listener leaves the
% node (they carry user names and passwords).
% Policy: "the configured APIs that are part of the open source project" and "transport mechanisms".
{ok, Listeners} = mongoose_config:lookup_opt(listen),
lists:usort([Known(handler, Name) || #{module := ejabberd_cowboy, handlers := Handlers} <- Listeners,
                                     #{module := Name} <- Handlers])
