% Whether MongooseIM's own reporter is on: then everything would be counted twice. It runs unless report = false.
case mongoose_config:lookup_opt(services) of
    {ok, #{service_mongoose_system_metrics := Options}} -> maps:get(report, Options, true) =/= false;
    _ -> false
end
