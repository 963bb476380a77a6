% How many host types there are: static hosts and host types of dynamic domains.
% Policy: covered by "modules in use" (reported per host type). lookup_opt, never get_opt: a missing key fails there
% with the whole configuration in its stack trace.
lists:sum([length(Hosts) || Key <- [hosts, host_types], {ok, Hosts} <- [mongoose_config:lookup_opt(Key)]])
