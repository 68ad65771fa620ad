SELECT last_version FROM {schema}.counter FOR UPDATE
