-- Who still uses what weakens security: one row for each weakness, client and user (0 for none), kept up by each use.
CREATE TABLE weakness_use (
    name TEXT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    weakness TEXT NOT NULL,
    client BIGINT NOT NULL,
    person BIGINT NOT NULL,
    first_at BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    total BIGINT NOT NULL
);
CREATE INDEX weakness_use_tenant ON weakness_use (tenant, weakness, last_at);

-- Since when a user has a second factor: such a user's password alone opens nothing to a program.
ALTER TABLE person ADD COLUMN second_factor_at BIGINT;

-- 1: a client whose credentials are published may be allowed this scope.
ALTER TABLE scope ADD COLUMN demo BIGINT NOT NULL DEFAULT 0;
