-- Which installations have not reported in the last seven days, by the week of their last report?
-- columns: week of the last report, version
SELECT FORMAT_DATE('%Y-%m-%d', DATE_TRUNC(MAX(day), WEEK(MONDAY))) AS section, STRING_AGG(DISTINCT name, ' and ' ORDER BY name) AS item, installation
FROM latest
WHERE event = 'cluster' AND day <= DATE_SUB(@last, INTERVAL 7 DAY)
GROUP BY installation
