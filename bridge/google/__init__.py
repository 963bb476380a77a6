"""What Google's own APIs say and are told of a GA4 property; nothing of it is imported by who does not ask for it."""
