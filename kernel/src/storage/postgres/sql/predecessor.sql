-- Ends the connection that this writer lost, should the server not have noticed yet: it holds a lock.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = $1 AND usename = current_user AND pid <> pg_backend_pid()
