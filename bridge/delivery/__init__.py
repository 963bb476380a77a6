"""GA4: its limits and endpoint, the queue on disk, the retry policy."""
