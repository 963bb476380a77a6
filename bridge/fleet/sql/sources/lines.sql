-- Files of an export to BigQuery as JSON lines. Types are declared: guessed ones depend on what the first lines hold.
SELECT event_date, event_timestamp, event_name, event_params, user_pseudo_id, geo.country AS country, filename
FROM read_json(FILES, format = 'newline_delimited', ignore_errors = true, filename = true, columns = {
  event_date: 'VARCHAR', event_timestamp: 'BIGINT', event_name: 'VARCHAR', user_pseudo_id: 'VARCHAR',
  event_params: 'STRUCT("key" VARCHAR, "value" STRUCT(string_value VARCHAR, int_value BIGINT, float_value DOUBLE,
    double_value DOUBLE))[]',
  geo: 'STRUCT(country VARCHAR)'})
