"""The state directory: reports, the queue, what became of both, stanza totals, locks. The only state there is."""
