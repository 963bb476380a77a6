% Whether MongooseIM's own reporter sends to a property of yours: then everything could be counted twice there. It runs
% unless report = false, and without a tracking id it sends to its makers only.
% Policy: "report" of the service's section, the operator's consent. Its tracking id and secret stay in the node.
case mongoose_config:lookup_opt(services) of
    {ok, #{service_mongoose_system_metrics := #{tracking_id := _} = Options}} ->
        maps:get(report, Options, true) =/= false;
    _ -> false
end
