% Whether MongooseIM's own reporter is on: then everything would be counted twice. It runs unless report = false.
% Policy: "report" of the service's section, the operator's consent. Its tracking id and secret stay in the node.
case mongoose_config:lookup_opt(services) of
    {ok, #{service_mongoose_system_metrics := Options}} -> maps:get(report, Options, true) =/= false;
    _ -> false
end
