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
