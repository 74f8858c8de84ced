-- A scope's text in other languages, and the day from which it is given no more.
ALTER TABLE scope ADD COLUMN texts TEXT NOT NULL DEFAULT '{}';
ALTER TABLE scope ADD COLUMN retires_at BIGINT;

-- Every name that a scope ever had, its present one among them. A name never means another scope, whatever becomes of its own: the
-- index says so. One that is not ended is understood in requests.
CREATE TABLE scope_naming (
    id ID,
    tenant BIGINT NOT NULL,
    scope BIGINT NOT NULL,
    name TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    ended_at BIGINT
);
CREATE UNIQUE INDEX scope_naming_name ON scope_naming (tenant, name);
INSERT INTO scope_naming (id, tenant, scope, name, made_at) SELECT id, tenant, id, name, created_at FROM scope;

-- The rules that a client is only watched for: since when, how often it would have been refused, and an example of that.
CREATE TABLE watched_rule (
    name TEXT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    client BIGINT NOT NULL,
    rule TEXT NOT NULL,
    since BIGINT NOT NULL,
    total BIGINT NOT NULL,
    last_at BIGINT,
    example TEXT NOT NULL
);
CREATE INDEX watched_rule_client ON watched_rule (tenant, client);

-- Live grants of a tenant, of a client and of a user in the order in which they were made: to list them, and to end or narrow them in
-- parts. The one by user begins with the tenant like the others, or SQLite would walk a tenant's grants for those of one user.
CREATE INDEX consent_grant_of_person ON consent_grant (tenant, person, id) WHERE ended_at IS NULL;
CREATE INDEX consent_grant_of_tenant ON consent_grant (tenant, id) WHERE ended_at IS NULL;
CREATE INDEX consent_grant_of_client ON consent_grant (tenant, client, id) WHERE ended_at IS NULL;
