-- How large are the installations: nodes, host types, domains?
-- columns: of what, how many
SELECT section, installation,
  CASE WHEN number < 2 THEN CAST(number AS STRING)
    ELSE CONCAT(CAST(POW(2, FLOOR(LOG(number, 2))) AS INT64), ' to ',
      CAST(2 * POW(2, FLOOR(LOG(number, 2))) - 1 AS INT64)) END AS item
FROM (
  SELECT installation, MAX(number) AS number,
    CASE event WHEN 'cluster' THEN 'nodes' WHEN 'host_count' THEN 'host types' ELSE 'domains' END AS section
  FROM latest
  WHERE event IN ('cluster', 'host_count', 'domain_count') AND number IS NOT NULL
  GROUP BY installation, event) AS counts
