-- The first schema. One text for both engines: ID, TEXT and BIGINT only; times are seconds since 1970; lists of ids are
-- decimal numbers joined by spaces; documents are JSON text. Every row names its tenant. Unset references are 0, so that
-- a unique index treats them as equal.

CREATE TABLE tenant (
    id ID,
    slug TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    paths TEXT NOT NULL,
    brand TEXT NOT NULL,
    policy TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT
);

CREATE TABLE domain (
    id ID,
    tenant BIGINT NOT NULL,
    origin TEXT NOT NULL UNIQUE,
    host TEXT NOT NULL UNIQUE,
    position BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX domain_tenant ON domain (tenant);

CREATE TABLE person (
    id ID,
    tenant BIGINT NOT NULL,
    kind TEXT NOT NULL,
    email TEXT NOT NULL,
    email_key TEXT NOT NULL,
    email_verified_at BIGINT,
    name TEXT NOT NULL,
    profile TEXT NOT NULL,
    password TEXT,
    password_at BIGINT,
    epoch BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX person_email ON person (tenant, email_key) WHERE deleted_at IS NULL;

CREATE TABLE account (
    id ID,
    tenant BIGINT NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX account_slug ON account (tenant, slug) WHERE deleted_at IS NULL;

CREATE TABLE membership (
    id ID,
    tenant BIGINT NOT NULL,
    person BIGINT NOT NULL,
    account BIGINT NOT NULL,
    roles TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    chosen_at BIGINT,
    ended_at BIGINT
);
CREATE UNIQUE INDEX membership_live ON membership (person, account) WHERE ended_at IS NULL;
CREATE INDEX membership_account ON membership (account);

CREATE TABLE api (
    id ID,
    tenant BIGINT NOT NULL,
    audience TEXT NOT NULL,
    name TEXT NOT NULL,
    roles TEXT NOT NULL,
    token_format TEXT NOT NULL,
    token_lifetime BIGINT NOT NULL,
    token_alg TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    disabled_at BIGINT
);
CREATE UNIQUE INDEX api_audience ON api (tenant, audience);

CREATE TABLE scope (
    id ID,
    tenant BIGINT NOT NULL,
    api BIGINT NOT NULL,
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    risk TEXT NOT NULL,
    reach TEXT NOT NULL,
    implies TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);
CREATE UNIQUE INDEX scope_name ON scope (tenant, name);

CREATE TABLE role (
    id ID,
    tenant BIGINT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    retired_at BIGINT
);
CREATE UNIQUE INDEX role_name ON role (tenant, name);

CREATE TABLE client (
    id ID,
    tenant BIGINT NOT NULL,
    client_id TEXT NOT NULL,
    settings TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    disabled_at BIGINT
);
CREATE UNIQUE INDEX client_name ON client (tenant, client_id);

-- Secrets of clients and of APIs (holder is the client's or the API's id).
CREATE TABLE credential (
    id ID,
    tenant BIGINT NOT NULL,
    holder BIGINT NOT NULL,
    kind TEXT NOT NULL,
    method TEXT NOT NULL,
    digest TEXT NOT NULL,
    label TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    ended_at BIGINT
);
CREATE INDEX credential_holder ON credential (holder);

-- What was given to a client for an account by a user: one live row each. Ending it ends everything under it.
CREATE TABLE consent_grant (
    id ID,
    tenant BIGINT NOT NULL,
    client BIGINT NOT NULL,
    account BIGINT NOT NULL,
    person BIGINT NOT NULL,
    acting BIGINT NOT NULL,
    granted TEXT NOT NULL,
    declined TEXT NOT NULL,
    claims TEXT NOT NULL,
    source TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    expires_at BIGINT,
    ended_at BIGINT,
    ended_because TEXT
);
CREATE UNIQUE INDEX consent_grant_live ON consent_grant (tenant, client, person, account, acting) WHERE ended_at IS NULL;
CREATE INDEX consent_grant_person ON consent_grant (person);

-- One approval or device under a grant: its code, its refresh chain, its ceiling.
CREATE TABLE authorization_row (
    id ID,
    tenant BIGINT NOT NULL,
    issuer TEXT NOT NULL,
    opened_by TEXT NOT NULL,
    consent_grant BIGINT NOT NULL,
    client BIGINT NOT NULL,
    person BIGINT NOT NULL,
    account BIGINT NOT NULL,
    membership BIGINT NOT NULL,
    session BIGINT NOT NULL,
    client_epoch BIGINT NOT NULL,
    person_epoch BIGINT NOT NULL,
    account_epoch BIGINT NOT NULL,
    epoch BIGINT NOT NULL,
    scopes TEXT NOT NULL,
    resources TEXT NOT NULL,
    claims TEXT NOT NULL,
    nonce TEXT,
    auth_time BIGINT,
    acr TEXT,
    amr TEXT,
    access_secret TEXT NOT NULL,
    code_digest TEXT,
    code_expires_at BIGINT,
    code_challenge TEXT,
    redirect_uri TEXT,
    code_used_by TEXT,
    code_used_at BIGINT,
    refresh_secret TEXT,
    generation BIGINT NOT NULL,
    rotated_at BIGINT,
    rotated_by TEXT,
    refresh_idle_until BIGINT,
    refresh_until BIGINT,
    session_bound BIGINT NOT NULL,
    standing_digest TEXT,
    opened_at BIGINT NOT NULL,
    sweep_at BIGINT NOT NULL,
    ended_at BIGINT,
    ended_because TEXT
);
CREATE INDEX authorization_grant ON authorization_row (consent_grant);
CREATE INDEX authorization_session ON authorization_row (session) WHERE session_bound = 1 AND ended_at IS NULL;
CREATE INDEX authorization_sweep ON authorization_row (sweep_at);
CREATE UNIQUE INDEX authorization_standing ON authorization_row (standing_digest) WHERE standing_digest IS NOT NULL;
CREATE UNIQUE INDEX authorization_back_end ON authorization_row (tenant, client, account, person, issuer)
    WHERE opened_by = 'client_credentials' AND ended_at IS NULL;

-- A narrowed token names the set of its scopes instead of listing them.
CREATE TABLE scope_set (
    id ID,
    tenant BIGINT NOT NULL,
    client BIGINT NOT NULL,
    members TEXT NOT NULL
);
CREATE UNIQUE INDEX scope_set_members ON scope_set (tenant, client, members);

-- What may happen once: a client assertion's jti, a revoked access token's jti.
CREATE TABLE mark (
    name TEXT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    attempt TEXT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX mark_until ON mark (until);

CREATE TABLE session (
    id ID,
    tenant BIGINT NOT NULL,
    issuer TEXT NOT NULL,
    person BIGINT NOT NULL,
    person_epoch BIGINT NOT NULL,
    digest TEXT NOT NULL,
    auth_time BIGINT NOT NULL,
    acr TEXT NOT NULL,
    amr TEXT NOT NULL,
    agent TEXT NOT NULL,
    address TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    idle_until BIGINT NOT NULL,
    until BIGINT NOT NULL,
    lasting BIGINT NOT NULL,
    ended_at BIGINT,
    ended_because TEXT
);
CREATE INDEX session_person ON session (person) WHERE ended_at IS NULL;
CREATE INDEX session_until ON session (until);

-- Counters of failed sign-ins, shared by workers and nodes; `name` is a keyed digest of a name or a network.
CREATE TABLE throttle (
    name TEXT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX throttle_until ON throttle (until);

-- Signing keys: the private half is encrypted under the root key.
CREATE TABLE signing_key (
    id ID,
    tenant BIGINT NOT NULL,
    alg TEXT NOT NULL,
    kid TEXT NOT NULL,
    public_jwk TEXT NOT NULL,
    wrapped TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    signs_from BIGINT NOT NULL,
    signs_until BIGINT,
    published_until BIGINT
);
CREATE UNIQUE INDEX signing_key_kid ON signing_key (tenant, kid);
CREATE INDEX signing_key_alg ON signing_key (tenant, alg);

CREATE TABLE audit (
    id ID,
    tenant BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    act TEXT NOT NULL,
    subject TEXT NOT NULL,
    detail TEXT NOT NULL
);
CREATE INDEX audit_tenant ON audit (tenant, id);

-- What the last apply of a platform file made, so that `prune` can take it away.
CREATE TABLE applied (
    id ID,
    tenant BIGINT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL
);
CREATE UNIQUE INDEX applied_name ON applied (tenant, kind, name);

-- One row; its lock orders the change feed by commit.
CREATE TABLE change_head (
    id ID,
    head BIGINT NOT NULL
);
INSERT INTO change_head (id, head) VALUES (1, 0);

CREATE TABLE change (
    seq BIGINT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    kind TEXT NOT NULL,
    subject BIGINT NOT NULL,
    at BIGINT NOT NULL
);

-- Facts of the deployment: the digest that tells whether a root key belongs to this store, leases of jobs.
CREATE TABLE deployment (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL,
    until BIGINT NOT NULL
);

-- Counted in memory and added here in batches: what happened how often, by day; a crash may lose the last seconds.
CREATE TABLE usage_count (
    name TEXT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    event TEXT NOT NULL,
    subject BIGINT NOT NULL,
    day BIGINT NOT NULL,
    total BIGINT NOT NULL,
    last_at BIGINT NOT NULL
);
CREATE INDEX usage_count_subject ON usage_count (tenant, subject, event, day);
