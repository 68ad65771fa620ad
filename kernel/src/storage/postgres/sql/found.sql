SELECT r.namespace, r.key, r.version, (octet_length(r.key) + octet_length(r.value))::bigint
FROM unnest($1::text[], $2::text[]) AS asked (namespace, key)
JOIN {schema}.records r ON r.namespace = asked.namespace AND r.key = asked.key
