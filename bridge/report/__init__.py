"""Event names and params, `system_metrics_report.json`, tables for people."""
