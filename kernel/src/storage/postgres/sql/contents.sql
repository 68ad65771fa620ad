SELECT last_version, (SELECT coalesce(sum(records), 0)::bigint FROM {schema}.usage)
FROM {schema}.counter
