//! The schema: which format it has, how it gets to ours, and whether this user may use it.

use tokio_postgres::{Client, Transaction};

use super::error::{PostgresError, quoted};
use super::server::Server;

/// How to get to each format from the one before.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/1.sql")];
const FORMAT: i32 = MIGRATIONS.len() as i32;

/// Brings the schema to this kernel's format, and checks the rights of the user.
pub(super) async fn prepare(server: &Server, client: &mut Client) -> Result<(), PostgresError> {
    check_encoding(server, client).await?;
    let found = format(server, client).await?;
    if found.is_none_or(|found| found < FORMAT) {
        migrate(server, client).await?;
    }
    match format(server, client).await? {
        Some(found) if found > FORMAT => Err(PostgresError::NewerFormat {
            store: server.store.clone(),
            schema: server.schema.clone(),
            found,
            known: FORMAT,
        }),
        _ => check_rights(server, client).await,
    }
}

async fn check_encoding(server: &Server, client: &Client) -> Result<(), PostgresError> {
    let row = client
        .query_one("SELECT current_setting('server_encoding')", &[])
        .await;
    let row = row.map_err(|error| server.opening("read the settings", error))?;
    match row.get(0) {
        "UTF8" => Ok(()),
        found => Err(PostgresError::Encoding {
            store: server.store.clone(),
            found: found.to_owned(),
        }),
    }
}

/// The format of the schema, if it has one.
async fn format(server: &Server, client: &Client) -> Result<Option<i32>, PostgresError> {
    let failed = |error| server.opening("find the schema", error);
    let table = server.sql("{schema}.format");
    let known = client
        .query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&table])
        .await;
    let failed_to_read = |error| server.opening("read the format of the schema", error);
    if !known.map_err(failed)?.get::<_, bool>(0) {
        return Ok(None);
    }
    let number = server.sql("SELECT number FROM {schema}.format");
    let row = client
        .query_opt(&number, &[])
        .await
        .map_err(failed_to_read)?;
    Ok(row.map(|row| row.get(0)))
}

/// One kernel does it, whole; others that come meanwhile wait, and find it done.
async fn migrate(server: &Server, client: &mut Client) -> Result<(), PostgresError> {
    let failed = |error| server.opening("migrate the schema", error);
    let transaction = client.transaction().await.map_err(failed)?;
    let lock = "SELECT pg_advisory_xact_lock(hashtext('octamillia'), hashtext($1))";
    transaction
        .execute(lock, &[&server.schema])
        .await
        .map_err(failed)?;
    create(server, &transaction).await?;
    let number = server.sql("SELECT number FROM {schema}.format");
    let row = transaction.query_one(&number, &[]).await.map_err(failed)?;
    let found = usize::try_from(row.get::<_, i32>(0)).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(found) {
        transaction
            .batch_execute(&server.sql(migration))
            .await
            .map_err(failed)?;
    }
    if found < MIGRATIONS.len() {
        let set = server.sql("UPDATE {schema}.format SET number = $1");
        transaction
            .execute(&set, &[&FORMAT])
            .await
            .map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// Makes the schema with the table that tells its format, unless they are there.
async fn create(server: &Server, transaction: &Transaction<'_>) -> Result<(), PostgresError> {
    let failed = |error| server.opening("create the schema", error);
    let known = "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)";
    let known = transaction
        .query_one(known, &[&server.schema])
        .await
        .map_err(failed)?;
    // Even `IF NOT EXISTS` would want the right to create one.
    if !known.get::<_, bool>(0) {
        let create = server.sql("CREATE SCHEMA {schema}");
        transaction.batch_execute(&create).await.map_err(failed)?;
    }
    let known = "SELECT to_regclass($1::text) IS NOT NULL";
    let table = server.sql("{schema}.format");
    let known = transaction
        .query_one(known, &[&table])
        .await
        .map_err(failed)?;
    if !known.get::<_, bool>(0) {
        let create = server.sql(
            "CREATE TABLE {schema}.format (number integer NOT NULL);
             INSERT INTO {schema}.format VALUES (0)",
        );
        let created = transaction.batch_execute(&create).await;
        created.map_err(|error| server.opening("migrate the schema", error))?;
    }
    Ok(())
}

async fn check_rights(server: &Server, client: &Client) -> Result<(), PostgresError> {
    let rows = client
        .query(include_str!("sql/rights.sql"), &[&server.schema])
        .await;
    let rows = rows.map_err(|error| server.opening("read the rights on the schema", error))?;
    if rows.is_empty() {
        return Ok(());
    }
    let (user, schema) = (quoted(server.user()), quoted(&server.schema));
    let (mut right, mut grant) = (Vec::new(), Vec::new());
    for row in rows {
        let (table, rights): (&str, &str) = (row.get(0), row.get(1));
        right.push(format!("{rights} on `{}.{table}`", server.schema));
        grant.push(format!(
            "GRANT {rights} ON {schema}.{} TO {user}",
            quoted(table)
        ));
    }
    Err(PostgresError::MissingRight {
        store: server.store.clone(),
        user: server.user().to_owned(),
        right: right.join(", "),
        grant: grant.join("; "),
    })
}
