% The version of the running mongooseim application; [] while it is stopped and only the VM runs.
% Policy: "MongooseIM version". What a custom build adds to the number is cut off in the bridge.
[Version || {mongooseim, _, Version} <- application:which_applications(2000)]
