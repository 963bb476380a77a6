-- How did the versions develop, day by day?
-- columns: day, version
SELECT CAST(day AS STRING) AS section, STRING_AGG(DISTINCT name, ' and ' ORDER BY name) AS item, installation
FROM facts
WHERE event = 'cluster'
GROUP BY day, installation
