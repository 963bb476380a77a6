-- Where are they? Only operators who wrote a country into their configuration say so.
-- columns: what, country
SELECT 'country' AS section, COALESCE(MIN(country), '(not said)') AS item, installation
FROM latest
GROUP BY installation
