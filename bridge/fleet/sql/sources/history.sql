-- What `history show ID --format json` prints: a report with its Client ID and time, and its events.
SELECT NULL AS event_date, epoch_us(CAST(report.collected_at AS TIMESTAMPTZ)) AS event_timestamp, event.name AS event_name,
  texts(event.params) AS event_params, report.client_id AS user_pseudo_id, NULL AS country, filename
FROM (
  SELECT report, unnest(events) AS event, filename
  FROM read_json(FILES, format = 'unstructured', filename = true, columns = {
    report: 'STRUCT(client_id VARCHAR, collected_at VARCHAR)', events: 'STRUCT(name VARCHAR, params MAP(VARCHAR, VARCHAR))[]'}))
