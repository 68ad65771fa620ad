SELECT number FROM {schema}.commits WHERE writer = $1
