-- From key $2 on, but not $3: at most $4 entries, the last of which is the first behind $5 bytes, to tell that
-- there is more.
SELECT key, version, value FROM (
    SELECT key, version, value,
        sum(octet_length(key) + octet_length(value)) OVER (
            ORDER BY key ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING
        ) AS bytes
    FROM {schema}.records
    WHERE namespace = $1 AND key >= $2 AND key <> $3
    LIMIT $4
) page
WHERE bytes IS NULL OR bytes < $5
ORDER BY key
