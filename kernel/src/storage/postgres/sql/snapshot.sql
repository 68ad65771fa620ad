-- The records behind ($1, $2), at most $3 and, but for the first, $4 bytes.
SELECT namespace, key, version, value FROM (
    SELECT namespace, key, version, value,
        sum(octet_length(key) + octet_length(value)) OVER entries AS bytes,
        row_number() OVER entries AS entry
    FROM {schema}.records
    WHERE (namespace, key) > ($1, $2)
    WINDOW entries AS (ORDER BY namespace, key ROWS UNBOUNDED PRECEDING)
    LIMIT $3
) page
WHERE bytes <= $4 OR entry = 1
ORDER BY namespace, key
