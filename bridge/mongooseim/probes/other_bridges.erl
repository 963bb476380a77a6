% How many hidden nodes are called as a bridge is, the one that asks included: more than one counts everything twice.
% Policy: not reported, and no name leaves the node; it is the operator who is told.
length([Name || Name <- nodes(hidden), lists:prefix("mongooseim_bridge@", atom_to_list(Name))])
