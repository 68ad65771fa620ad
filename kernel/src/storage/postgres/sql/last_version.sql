SELECT last_version FROM {schema}.counter
