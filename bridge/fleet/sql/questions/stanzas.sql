-- How many stanzas of each type were handled on each day?
-- columns: day, stanza type, stanzas
SELECT CAST(day AS STRING) AS section, name AS item, installation, number AS amount
FROM facts
WHERE event = 'xmpp_stanza_count'
