-- How many modules of their own and external components do installations have?
-- columns: of what, how many
SELECT section, installation, CASE WHEN number < 5 THEN CAST(number AS STRING) ELSE '5 or more' END AS item
FROM (
  SELECT installation, 'custom modules' AS section, MAX(number) AS number FROM latest
  WHERE event = 'custom_module_count' GROUP BY installation
  UNION ALL
  SELECT installation, 'components', SUM(components)
  FROM (SELECT DISTINCT installation, name, number, components, uptime FROM latest WHERE event = 'cluster') AS nodes
  GROUP BY installation) AS counts
WHERE number IS NOT NULL
