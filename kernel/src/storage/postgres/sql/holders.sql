-- Who else holds that lock: the process, as its name tells, and what this user may know of where it runs.
SELECT a.pid, split_part(a.application_name, ' ', 2), host(a.client_addr), a.client_port
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('octamillia writes to ' || $1::text, 0)
ORDER BY a.pid
