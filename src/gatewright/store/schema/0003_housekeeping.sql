-- A domain that a tenant gave up goes to no other tenant for a while: links, redirect addresses and people's habits still lead there.
CREATE TABLE released_domain (
    host TEXT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    origin TEXT NOT NULL,
    released_at BIGINT NOT NULL
);
CREATE INDEX released_domain_at ON released_domain (released_at);

-- When a grant was last used, within the hour: counted in memory and written in batches.
ALTER TABLE consent_grant ADD COLUMN used_at BIGINT;

CREATE INDEX usage_count_day ON usage_count (day);

-- What ends with an account, and what the sweeper looks for, among grants that are many.
CREATE INDEX consent_grant_account ON consent_grant (account, tenant) WHERE ended_at IS NULL;
CREATE INDEX consent_grant_ended ON consent_grant (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX consent_grant_expires ON consent_grant (expires_at) WHERE ended_at IS NULL AND expires_at IS NOT NULL;

-- A narrowed token names its scopes by their places at their API, which never change, instead of an interned set.
ALTER TABLE scope ADD COLUMN place BIGINT NOT NULL DEFAULT 0;
UPDATE scope SET place = (SELECT count(*) FROM scope AS o WHERE o.api = scope.api AND o.id < scope.id);
CREATE UNIQUE INDEX scope_place ON scope (api, place);
DROP TABLE scope_set;
