-- Files of an export to BigQuery as Parquet.
SELECT event_date, event_timestamp, event_name, event_params, user_pseudo_id, geo.country AS country, filename
FROM read_parquet(FILES, filename = true)
