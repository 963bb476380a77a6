%% The components connected to the cluster, from 6.2 on.
-module(mongoose_component).

-export([lookup_component/2, dirty_get_all_components/1]).

lookup_component(Domain, Node) ->
    stub_component:at(Domain, Node).

dirty_get_all_components(Which) ->
    stub_component:domains(Which).
