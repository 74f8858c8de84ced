-- Apps of the marketplace. An app is a client with a manifest, so its id is the client's; what it is called, whose it is, whether it
-- is offered and whether it is kept out stand in the client's row.

CREATE TABLE app (
    id ID,
    tenant BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX app_tenant ON app (tenant);

-- Every manifest that was published, as it was; `label` is what its developer calls the version.
CREATE TABLE app_version (
    id ID,
    tenant BIGINT NOT NULL,
    app BIGINT NOT NULL,
    number BIGINT NOT NULL,
    label TEXT NOT NULL,
    manifest TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    published_by TEXT NOT NULL
);
CREATE UNIQUE INDEX app_version_number ON app_version (app, number);
CREATE UNIQUE INDEX app_version_label ON app_version (app, label);

-- An app in an account: `person` installed it, `acting` is the user it acts for (the same, until it is handed to a service user).
-- An app without access has no grant (0).
CREATE TABLE install (
    id ID,
    tenant BIGINT NOT NULL,
    app BIGINT NOT NULL,
    account BIGINT NOT NULL,
    person BIGINT NOT NULL,
    acting BIGINT NOT NULL,
    consent_grant BIGINT NOT NULL,
    version BIGINT NOT NULL,
    state TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    ended_at BIGINT,
    ended_because TEXT
);
CREATE UNIQUE INDEX install_live ON install (tenant, app, account, acting) WHERE ended_at IS NULL;
CREATE INDEX install_grant ON install (consent_grant);
CREATE INDEX install_acting ON install (acting) WHERE ended_at IS NULL;
CREATE INDEX install_account ON install (account) WHERE ended_at IS NULL;
CREATE INDEX install_ended ON install (ended_at) WHERE ended_at IS NOT NULL;
