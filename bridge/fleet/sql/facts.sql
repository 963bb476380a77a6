-- What the last report of each installation and day says, and the stanzas of the day. A late event stands in a table of
-- up to three days later. Events can arrive twice: increments are made distinct before they are summed up; statements
-- are not (it would cost a third of the time), so a question counts installations, which the wall does, or DISTINCT rows.
WITH reports AS (
  SELECT user_pseudo_id, MAX(event_timestamp) AS event_timestamp
  FROM `events_*`
  WHERE _TABLE_SUFFIX BETWEEN FORMAT_DATE('%Y%m%d', @first) AND FORMAT_DATE('%Y%m%d', DATE_ADD(@last, INTERVAL 3 DAY))
    AND event_name IN ('host_count', 'cluster') AND DATE(TIMESTAMP_MICROS(event_timestamp)) BETWEEN @first AND @last
  GROUP BY user_pseudo_id, DATE(TIMESTAMP_MICROS(event_timestamp))),
statements AS (
  SELECT user_pseudo_id AS installation, DATE(TIMESTAMP_MICROS(event_timestamp)) AS day,
    NULLIF(geo.country, '') AS country, event_name AS event,
    CASE event_name
      WHEN 'module_with_opt' THEN [param_text(event_params, 'module')]
      WHEN 'cluster' THEN [param_text(event_params, 'version')]
      WHEN 'tls_option' THEN [param_text(event_params, 'mode')]
      WHEN 'outgoing_pool' THEN [param_text(event_params, 'value')]
      WHEN 'http_api' THEN enabled(event_params)
      WHEN 'transport_mechanism' THEN enabled(event_params)
      ELSE [event_name] END AS names,
    param_text(event_params, 'backend') AS backend, param_text(event_params, 'online_backend') AS online_backend,
    param_text(event_params, 'api_version') AS api_version,
    COALESCE(param_number(event_params, 'node_number'), param_number(event_params, 'value')) AS number,
    param_number(event_params, 'component') AS components,
    -- Tells nodes apart that have the same number of components, and from an event that arrived twice.
    param_text(event_params, 'uptime') AS uptime
  FROM `events_*` JOIN reports USING (user_pseudo_id, event_timestamp)
  WHERE _TABLE_SUFFIX BETWEEN FORMAT_DATE('%Y%m%d', @first) AND FORMAT_DATE('%Y%m%d', DATE_ADD(@last, INTERVAL 3 DAY))
    AND event_name <> 'xmpp_stanza_count'),
increments AS (
  SELECT DISTINCT user_pseudo_id AS installation, event_timestamp, DATE(TIMESTAMP_MICROS(event_timestamp)) AS day,
    param_text(event_params, 'stanza_type') AS stanza_type, param_number(event_params, 'increment') AS increment
  FROM `events_*`
  WHERE _TABLE_SUFFIX BETWEEN FORMAT_DATE('%Y%m%d', @first) AND FORMAT_DATE('%Y%m%d', DATE_ADD(@last, INTERVAL 3 DAY))
    AND event_name = 'xmpp_stanza_count' AND DATE(TIMESTAMP_MICROS(event_timestamp)) BETWEEN @first AND @last)
SELECT installation, day, country, event, name, backend, online_backend, api_version, number, components, uptime
FROM statements, UNNEST(names) AS name
UNION ALL
SELECT installation, day, NULL, 'xmpp_stanza_count', stanza_type, NULL, NULL, NULL, SUM(increment), NULL, NULL
FROM increments
GROUP BY installation, day, stanza_type
