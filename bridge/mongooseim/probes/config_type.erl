% Whether the configuration file is TOML or the old format, from its extension; the path stays in the node.
% Policy: part of the version and configuration facts of a node ("cluster" event).
case filename:extension(mongoose_config:get_config_path()) of
    ".toml" -> toml;
    ".cfg" -> cfg;
    _ -> unknown_config_type
end
