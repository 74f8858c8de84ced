-- Whether an API tells which scopes decided its calls.
ALTER TABLE api ADD COLUMN usage BIGINT NOT NULL DEFAULT 0;

-- What is known by that of an API: since when it tells without a gap, and when it last did.
CREATE TABLE usage_report (
    api ID,
    tenant BIGINT NOT NULL,
    since BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);
CREATE INDEX usage_report_tenant ON usage_report (tenant);

-- On which day (days since 1970) a scope of a grant last decided a call, and on how many days it did.
CREATE TABLE scope_use (
    consent_grant BIGINT NOT NULL,
    scope BIGINT NOT NULL,
    tenant BIGINT NOT NULL,
    day BIGINT NOT NULL,
    days BIGINT NOT NULL
);
CREATE UNIQUE INDEX scope_use_grant ON scope_use (consent_grant, scope);
