-- A whole group: its changes, of which the last one of each key stands; what namespaces hold then; who wrote it.
WITH change AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::boolean[])
        AS change (version, previous, namespace, key, value, stands)
), put AS (
    INSERT INTO {schema}.records (namespace, key, version, value)
    SELECT namespace, key, version, value FROM change WHERE stands AND value IS NOT NULL
    ON CONFLICT (namespace, key) DO UPDATE SET version = excluded.version, value = excluded.value
), deleted AS (
    DELETE FROM {schema}.records r USING change
    WHERE change.stands AND change.value IS NULL
        AND r.namespace = change.namespace AND r.key = change.key
), told AS (
    INSERT INTO {schema}.changes (version, previous, namespace, key, value)
    SELECT version, previous, namespace, key, value FROM change WHERE previous IS NOT NULL
), used AS (
    INSERT INTO {schema}.usage (namespace, records, bytes)
    SELECT * FROM unnest($7::text[], $8::bigint[], $9::bigint[])
    ON CONFLICT (namespace) DO UPDATE SET records = excluded.records, bytes = excluded.bytes
), signed AS (
    INSERT INTO {schema}.commits (writer, number, at) VALUES ($10, $11, now())
    ON CONFLICT (writer) DO UPDATE SET number = excluded.number, at = excluded.at
)
UPDATE {schema}.counter SET last_version = $12
RETURNING pg_notify($13, last_version::text)::text
