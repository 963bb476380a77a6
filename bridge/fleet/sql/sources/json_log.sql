-- system_metrics_report.json: the installation is the file, the time is when it was written.
SELECT NULL AS event_date, epoch_us(written.last_modified) AS event_timestamp, name AS event_name,
  texts(params) AS event_params, md5(events.filename) AS user_pseudo_id, NULL AS country, events.filename
FROM read_json(FILES, format = 'array', filename = true, columns = {name: 'VARCHAR', params: 'MAP(VARCHAR, VARCHAR)'}) AS events
JOIN read_blob(FILES) AS written ON written.filename = events.filename
