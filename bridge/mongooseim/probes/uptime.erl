% Seconds since the node started.
% Policy: "MongooseIM node uptime". Not statistics(wall_clock), which MongooseIM's own reporter reads: that would reset
% the "since last call" of whoever else reads it.
erlang:convert_time_unit(erlang:monotonic_time() - erlang:system_info(start_time), native, second)
