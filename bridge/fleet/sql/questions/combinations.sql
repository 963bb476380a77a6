-- Of the installations with one module, how many have another one too?
-- columns: module, together with
SELECT one.name AS section, other.name AS item, one.installation
FROM (SELECT DISTINCT installation, name FROM latest WHERE event = 'module_with_opt') AS one
JOIN (SELECT DISTINCT installation, name FROM latest WHERE event = 'module_with_opt') AS other
  ON one.installation = other.installation AND one.name <> other.name
