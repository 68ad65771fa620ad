-- Keeps the latest $1 changes, and no more than $2 bytes of them.
DELETE FROM {schema}.changes WHERE version <= (
    SELECT max(version) FROM (
        SELECT version,
            row_number() OVER latest AS number,
            sum(coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)) OVER latest AS bytes
        FROM {schema}.changes
        WINDOW latest AS (ORDER BY version DESC ROWS UNBOUNDED PRECEDING)
    ) kept
    WHERE number > $1 OR bytes > $2
)
