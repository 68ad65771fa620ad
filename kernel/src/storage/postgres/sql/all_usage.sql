SELECT namespace, records, bytes FROM {schema}.usage WHERE records > 0 ORDER BY namespace
