% How many other bridges are connected to this node: hidden nodes that are called as bridges are, but for this bridge's
% own service. With another one everything may be counted twice. A number, no names.
% Policy: for the operator only, it is not reported.
length([Name || Node <- nodes(hidden), Name <- [atom_to_list(Node)],
                lists:prefix("mongooseim_bridge@", Name), Name =/= OwnName])
