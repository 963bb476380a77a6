% The version of the running mongooseim application; [] while it is stopped and only the VM runs.
% Policy: "MongooseIM version". What a custom build adds to the number is cut off here, and stays in the node.
Release = fun(Version) ->
    try re:run(Version, "^\\d{1,3}\\.\\d{1,3}\\.\\d{1,3}(?![\\d.])", [{capture, first, list}]) of
        {match, [Number]} -> Number;
        nomatch -> custom
    catch _:_ -> custom
    end
end,
[Release(Version) || {mongooseim, _, Version} <- application:which_applications(2000)]
