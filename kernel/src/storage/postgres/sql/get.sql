SELECT version, value FROM {schema}.records WHERE namespace = $1 AND key = $2
