-- Every file as one table of the export's shape. Its suffix is that of the table which the file's name tells; that of a
-- day which is not over is called intraday_YYYYMMDD, and BigQuery's range of daily tables leaves it out.
CREATE TEMP VIEW "events_*" AS
SELECT CAST(event_timestamp AS BIGINT) AS event_timestamp, event_name, user_pseudo_id, struct_pack(country := country) AS geo,
  CAST(event_params AS STRUCT("key" VARCHAR, "value" STRUCT(string_value VARCHAR, int_value BIGINT, float_value DOUBLE,
    double_value DOUBLE))[]) AS event_params,
  coalesce(nullif(regexp_extract(filename, 'events_((?:intraday_)?\d{8})', 1), ''), event_date,
    strftime(make_timestamp(event_timestamp), '%Y%m%d')) AS _TABLE_SUFFIX
FROM (SOURCES)
