%% MongooseIM's own collector since 6.4: told whether exometer runs (until 6.5), then which metrics library to ask.
-module(mongoose_system_metrics_collector).

-export([collect/2]).

collect(Previous, true) -> stub_collector:collect(Previous, exometer);
collect(Previous, false) -> stub_collector:collect(Previous, none);
collect(Previous, Library) -> stub_collector:collect(Previous, Library).
