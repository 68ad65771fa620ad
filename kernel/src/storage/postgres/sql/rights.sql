-- The tables of the schema on which this user lacks a right.
SELECT needed.name, needed.rights
FROM (VALUES
    ('records', 'SELECT, INSERT, UPDATE, DELETE'),
    ('usage', 'SELECT, INSERT, UPDATE'),
    ('counter', 'SELECT, UPDATE'),
    ('commits', 'SELECT, INSERT, UPDATE, DELETE'),
    ('changes', 'SELECT, INSERT, DELETE')
) AS needed (name, rights)
WHERE EXISTS (
    SELECT FROM unnest(string_to_array(needed.rights, ', ')) AS needs (one)
    WHERE NOT has_table_privilege(format('%I.%I', $1::text, needed.name), needs.one)
)
