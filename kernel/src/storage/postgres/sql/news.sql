-- The changes behind version $1, at most $2 and, but for the first, $3 bytes; and the last version of all.
SELECT c.last_version, n.version, n.previous, n.namespace, n.key, n.value
FROM {schema}.counter c LEFT JOIN (
    SELECT version, previous, namespace, key, value FROM (
        SELECT version, previous, namespace, key, value,
            sum(coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)) OVER behind AS bytes,
            row_number() OVER behind AS number
        FROM {schema}.changes
        WHERE version > $1
        WINDOW behind AS (ORDER BY version ROWS UNBOUNDED PRECEDING)
        LIMIT $2
    ) page
    WHERE bytes <= $3 OR number = 1
) n ON true
ORDER BY n.version
