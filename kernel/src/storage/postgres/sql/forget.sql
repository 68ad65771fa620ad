-- Writers that are long gone.
DELETE FROM {schema}.commits WHERE at < now() - interval '1 day'
