%% The domains that this node serves.
-module(mongoose_domain_core).

-export([domains_count/0]).

%% `undefined` while the application is stopped: then there is no table.
domains_count() ->
    ets:info(?MODULE, size).
