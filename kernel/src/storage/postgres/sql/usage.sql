SELECT u.namespace, u.records, u.bytes
FROM unnest($1::text[]) AS asked (namespace)
JOIN {schema}.usage u ON u.namespace = asked.namespace
