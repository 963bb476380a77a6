-- Which version does each installation run, by its last report? During an upgrade it runs several.
-- columns: what, version
SELECT 'MongooseIM' AS section, STRING_AGG(DISTINCT name, ' and ' ORDER BY name) AS item, installation
FROM latest
WHERE event = 'cluster'
GROUP BY installation
