-- Which modules, APIs, transports, TLS modes and outgoing pools are in use?
-- columns: kind, name
SELECT CASE event WHEN 'module_with_opt' THEN 'module' WHEN 'http_api' THEN 'API'
    WHEN 'transport_mechanism' THEN 'transport' WHEN 'tls_option' THEN 'TLS mode' ELSE 'outgoing pool' END AS section,
  name AS item, installation
FROM latest
WHERE event IN ('module_with_opt', 'http_api', 'transport_mechanism', 'tls_option', 'outgoing_pool')
