-- Format 1. Names are compared by their bytes, whatever the database's own order is.

CREATE TABLE {schema}.records (
    namespace text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (namespace, key)
);

-- What each namespace holds. Room is left in its pages, since every write changes a row in place.
CREATE TABLE {schema}.usage (
    namespace text COLLATE "C" PRIMARY KEY,
    records bigint NOT NULL,
    bytes bigint NOT NULL
) WITH (fillfactor = 50);

-- One row: who writes locks it, so that versions are given in the order of commits.
CREATE TABLE {schema}.counter (
    last_version bigint NOT NULL
) WITH (fillfactor = 10);
CREATE UNIQUE INDEX counter_is_one ON {schema}.counter ((true));
INSERT INTO {schema}.counter VALUES (0);

-- The last group that each writer committed: whose connection was lost in a commit finds here what became of it.
CREATE TABLE {schema}.commits (
    writer text PRIMARY KEY,
    number bigint NOT NULL,
    at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- The latest changes, for who watches. Each names the one before it, so that a gap is noticed: what is here
-- need not survive a crash of the server, and costs no log. A change without a key only ends a gap.
CREATE UNLOGGED TABLE {schema}.changes (
    version bigint PRIMARY KEY,
    previous bigint NOT NULL,
    namespace text,
    key text,
    value bytea
);
-- Kept for a short while only.
ALTER TABLE {schema}.changes ALTER COLUMN value SET STORAGE EXTERNAL;
