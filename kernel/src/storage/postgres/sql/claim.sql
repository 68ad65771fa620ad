-- Takes the lock of who writes to the schema $1 until this connection ends: for itself alone if $2.
SELECT CASE WHEN $2 THEN pg_try_advisory_lock(key) ELSE pg_try_advisory_lock_shared(key) END
FROM (SELECT hashtextextended('octamillia writes to ' || $1::text, 0) AS key) AS lock
