-- How often is each backend used with each module? An installation may use several, by host type.
-- columns: module, backend
SELECT modules.name AS section, installations.installation,
  CASE WHEN used.name IS NULL THEN '(module not used)'
    ELSE COALESCE(used.backend, '(none)')
      || IF(used.online_backend IS NULL, '', CONCAT(', online ', used.online_backend))
      || IF(used.api_version IS NULL, '', CONCAT(', API ', used.api_version)) END AS item
FROM (SELECT DISTINCT name FROM latest
      WHERE event = 'module_with_opt' AND COALESCE(backend, online_backend, api_version) IS NOT NULL) AS modules
CROSS JOIN (SELECT DISTINCT installation FROM latest) AS installations
LEFT JOIN (SELECT * FROM latest WHERE event = 'module_with_opt') AS used
  ON used.installation = installations.installation AND used.name = modules.name
