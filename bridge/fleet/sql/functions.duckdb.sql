-- The functions of functions.bigquery.sql for DuckDB: list functions, which are ten times faster there than subqueries.
CREATE TEMP MACRO param(params, name) AS list_filter(params, lambda p: p.key = name)[1].value;
CREATE TEMP MACRO param_text(params, name) AS
  COALESCE(param(params, name).string_value, CAST(param(params, name).int_value AS VARCHAR));
CREATE TEMP MACRO param_number(params, name) AS COALESCE(param(params, name).int_value,
  CAST(param(params, name).double_value AS BIGINT), TRY_CAST(param(params, name).string_value AS BIGINT));
CREATE TEMP MACRO enabled(params) AS [p.key FOR p IN params IF p.value.string_value = 'enabled'];
-- Params of a report in the export's shape; numbers are texts, which param_number reads.
CREATE TEMP MACRO texts(params) AS list_transform(map_entries(params), lambda p: {'key': p.key, 'value': {
  'string_value': p.value, 'int_value': NULL::BIGINT, 'float_value': NULL::DOUBLE, 'double_value': NULL::DOUBLE}});
