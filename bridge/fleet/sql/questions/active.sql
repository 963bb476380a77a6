-- How many installations reported on each day, and in the seven days up to it?
-- columns: day, period
SELECT CAST(days.day AS STRING) AS section, period AS item, reported.installation
FROM (SELECT DISTINCT day FROM facts) AS days
JOIN (SELECT DISTINCT day, installation FROM facts) AS reported
  ON reported.day BETWEEN DATE_SUB(days.day, INTERVAL 6 DAY) AND days.day
CROSS JOIN UNNEST(IF(reported.day = days.day, ['on the day', 'in seven days'], ['in seven days'])) AS period
