"""Many installations read together: questions in SQL over GA4's export, for BigQuery and for DuckDB on one machine."""
