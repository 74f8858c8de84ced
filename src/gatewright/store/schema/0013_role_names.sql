-- Whether an API is told the names of the roles that the user of a token has in its account.
ALTER TABLE api ADD COLUMN names_roles BIGINT NOT NULL DEFAULT 0;
