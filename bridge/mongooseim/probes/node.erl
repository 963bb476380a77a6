% Which node this is, and the nodes that it sees. Names stay with the bridge: they are how the rest of the cluster is
% found and how totals are remembered; what is reported is the number.
% Policy: "the number of nodes in the cluster". Same in all releases; hidden nodes, as the bridge, are not in nodes().
{node(), nodes()}
