-- What `history show ID --format json` prints: a report with its Client ID and time.
SELECT NULL AS event_date, epoch_us(CAST(collected_at AS TIMESTAMPTZ)) AS event_timestamp, event.name AS event_name,
  texts(event.params) AS event_params, client_id AS user_pseudo_id, NULL AS country, filename
FROM (
  SELECT collected_at, client_id, unnest(event_list) AS event, filename
  FROM read_json(FILES, format = 'unstructured', filename = true, columns = {client_id: 'VARCHAR', collected_at: 'VARCHAR',
    event_list: 'STRUCT(name VARCHAR, params MAP(VARCHAR, VARCHAR))[]'}))
