-- The facts of the last day on which each installation reported.
SELECT facts.*
FROM facts
JOIN (SELECT installation, MAX(day) AS day FROM facts WHERE event <> 'xmpp_stanza_count' GROUP BY installation) AS last
  USING (installation, day)
