-- Secrets that tell of themselves, clients that belong to somebody, and domains that prove whose they are.

-- Whose a client is: a user (who made it), an account (the company it belongs to), both or, with 0, nobody.
ALTER TABLE client ADD COLUMN owner_person BIGINT NOT NULL DEFAULT 0;
ALTER TABLE client ADD COLUMN owner_account BIGINT NOT NULL DEFAULT 0;
CREATE INDEX client_owner_person ON client (owner_person) WHERE owner_person <> 0;
CREATE INDEX client_owner_account ON client (owner_account) WHERE owner_account <> 0;

-- `wrapped` is the secret itself, encrypted under the root key, only where the client's setting says that it can be read again.
ALTER TABLE credential ADD COLUMN made_by TEXT NOT NULL DEFAULT '';
ALTER TABLE credential ADD COLUMN wrapped TEXT;
ALTER TABLE credential ADD COLUMN used_at BIGINT;
ALTER TABLE credential ADD COLUMN used_from TEXT;
ALTER TABLE credential ADD COLUMN ended_because TEXT;
CREATE INDEX credential_wrapped ON credential (expires_at) WHERE wrapped IS NOT NULL AND expires_at IS NOT NULL;

-- `kind` is 'issuer', or 'api' for a host that serves the tenant's API and issues nothing; `look` is a JSON document, '' for none.
ALTER TABLE domain ADD COLUMN kind TEXT NOT NULL DEFAULT 'issuer';
ALTER TABLE domain ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE domain ADD COLUMN look TEXT NOT NULL DEFAULT '';

-- A domain that a tenant says is its own, and how the proof in the domain name system stands; 0 stands for never. A row of `domain`
-- exists beside it while the state is 'verified' or 'failing'.
CREATE TABLE domain_claim (
    id ID,
    tenant BIGINT NOT NULL,
    origin TEXT NOT NULL,
    host TEXT NOT NULL,
    state TEXT NOT NULL,
    made_by TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    failing_since BIGINT NOT NULL,
    checked_at BIGINT NOT NULL,
    check_at BIGINT NOT NULL,
    told TEXT NOT NULL
);
CREATE UNIQUE INDEX domain_claim_host ON domain_claim (tenant, host);
CREATE INDEX domain_claim_check ON domain_claim (check_at);
