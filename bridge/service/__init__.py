"""When to report: one report from end to end, the schedule, consent, signals, triggers."""
