% How many external components are connected to this node.
% Policy: "the number of connected external XMPP components". With cets a domain that two nodes serve is listed twice;
% each is looked up once here, so that its connections count once. The look-up moved from ejabberd_router (6.1) to
% mongoose_component (6.2); its records differ and are only counted.
Router = case code:ensure_loaded(mongoose_component) of
    {module, _} -> mongoose_component;
    {error, _} -> ejabberd_router
end,
Domains = lists:usort(mongoose_router:get_all_domains() ++ Router:dirty_get_all_components(all)),
lists:sum([length(Router:lookup_component(Domain, node())) || Domain <- Domains])
