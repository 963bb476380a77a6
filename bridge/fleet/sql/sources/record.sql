-- What `ga4-emulator --record` writes: an event per line; one without a name was a request that could not be read.
SELECT NULL AS event_date, coalesce(timestamp_micros, epoch_us(CAST(received AS TIMESTAMPTZ))) AS event_timestamp,
  CASE WHEN received IS NOT NULL THEN coalesce(name, '(unreadable)') END AS event_name, texts(params) AS event_params,
  client_id AS user_pseudo_id, NULL AS country, filename
FROM read_json(FILES, format = 'newline_delimited', ignore_errors = true, filename = true, columns = {received: 'VARCHAR',
  client_id: 'VARCHAR', name: 'VARCHAR', params: 'MAP(VARCHAR, VARCHAR)', timestamp_micros: 'BIGINT'})
