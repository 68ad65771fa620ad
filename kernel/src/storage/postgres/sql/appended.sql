-- What is already where the next $3 versions could be appended: hardly ever anything.
SELECT r.namespace, r.key, r.version, (octet_length(r.key) + octet_length(r.value))::bigint
FROM unnest($1::text[], $2::text[]) AS asked (namespace, prefix)
JOIN {schema}.records r ON r.namespace = asked.namespace
    AND r.key > asked.prefix || lpad((SELECT last_version FROM {schema}.counter)::text, 20, '0')
    AND r.key <= asked.prefix || lpad(((SELECT last_version FROM {schema}.counter) + $3)::text, 20, '0')
