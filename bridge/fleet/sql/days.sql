-- The first and the last day of all events, and how many lines could not be read; for DuckDB.
SELECT CAST(make_timestamp(min(event_timestamp)) AS DATE), CAST(make_timestamp(max(event_timestamp)) AS DATE),
  count(*) FILTER (event_name IS NULL)
FROM "events_*"
