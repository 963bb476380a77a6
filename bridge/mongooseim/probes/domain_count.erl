% How many XMPP domains this node serves.
% Policy: the size of an installation, never a name. The atom undefined while the application is stopped.
case mongoose_domain_core:domains_count() of
    Count when is_integer(Count) -> Count
end
