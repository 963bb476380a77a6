-- A parameter as text, as a number, and the names of those that are enabled. The export keeps a value in one of several
-- fields, and the same parameter can be text in one event and a number in another.
CREATE TEMP FUNCTION param_text(params ANY TYPE, name STRING) AS ((
  SELECT ANY_VALUE(COALESCE(p.value.string_value, CAST(p.value.int_value AS STRING))) FROM UNNEST(params) AS p WHERE p.key = name));
CREATE TEMP FUNCTION param_number(params ANY TYPE, name STRING) AS ((
  SELECT ANY_VALUE(COALESCE(p.value.int_value, CAST(p.value.double_value AS INT64), SAFE_CAST(p.value.string_value AS INT64)))
  FROM UNNEST(params) AS p WHERE p.key = name));
CREATE TEMP FUNCTION enabled(params ANY TYPE) AS (ARRAY(
  SELECT p.key FROM UNNEST(params) AS p WHERE p.value.string_value = 'enabled'));
