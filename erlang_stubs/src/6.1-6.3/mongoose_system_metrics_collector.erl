%% MongooseIM's own collector until 6.3.
-module(mongoose_system_metrics_collector).

-export([collect/1]).

collect(Previous) ->
    stub_collector:collect(Previous, exometer).
