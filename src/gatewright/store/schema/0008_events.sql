-- What apps are told: an outbox that is written in the transaction of the change, and what became of each delivery. Also the scopes
-- with which an app may clean up after it was uninstalled.

-- Where a client's events go; the id is the client's. `quiet_until` is the end of a delivering process's lease or of a pause after
-- failures. `disabled_at`: it went away (410) or the client names no address any more; `blocked_at`: the client is disabled.
CREATE TABLE webhook_endpoint (
    id ID,
    tenant BIGINT NOT NULL,
    client_id TEXT NOT NULL,
    url TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    leased_by TEXT NOT NULL,
    quiet_until BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    disabled_at BIGINT,
    disabled_because TEXT,
    blocked_at BIGINT
);
CREATE INDEX webhook_endpoint_tenant ON webhook_endpoint (tenant);
CREATE INDEX webhook_endpoint_open ON webhook_endpoint (quiet_until) WHERE disabled_at IS NULL AND blocked_at IS NULL;

-- What signs deliveries, encrypted under the root key; two are live while one replaces the other.
CREATE TABLE webhook_secret (
    id ID,
    tenant BIGINT NOT NULL,
    client BIGINT NOT NULL,
    wrapped TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX webhook_secret_client ON webhook_secret (client);
CREATE INDEX webhook_secret_expires ON webhook_secret (expires_at) WHERE expires_at IS NOT NULL;

-- One event for one client. `since` begins the days after which it is given up; `once` is what may be told to a client only once.
CREATE TABLE webhook_event (
    id ID,
    tenant BIGINT NOT NULL,
    client BIGINT NOT NULL,
    type TEXT NOT NULL,
    data TEXT NOT NULL,
    at BIGINT NOT NULL,
    state TEXT NOT NULL,
    since BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    next_at BIGINT,
    last_at BIGINT,
    last_outcome TEXT,
    last_status BIGINT,
    once TEXT
);
CREATE INDEX webhook_event_client ON webhook_event (client, id);
CREATE INDEX webhook_event_due ON webhook_event (client, next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_event_next ON webhook_event (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX webhook_event_since ON webhook_event (since);
CREATE UNIQUE INDEX webhook_event_once ON webhook_event (client, once) WHERE once IS NOT NULL;

CREATE TABLE webhook_attempt (
    id ID,
    tenant BIGINT NOT NULL,
    event BIGINT NOT NULL,
    at BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    status BIGINT,
    milliseconds BIGINT NOT NULL
);
CREATE INDEX webhook_attempt_event ON webhook_attempt (event);
CREATE INDEX webhook_attempt_at ON webhook_attempt (at);

-- One act that concerns many grants, to be told to each of their clients. `seen` is the last grant that was told of.
CREATE TABLE webhook_fan_out (
    id ID,
    tenant BIGINT NOT NULL,
    type TEXT NOT NULL,
    because TEXT NOT NULL,
    person BIGINT NOT NULL,
    account BIGINT NOT NULL,
    client BIGINT NOT NULL,
    at BIGINT NOT NULL,
    seen BIGINT NOT NULL
);

ALTER TABLE scope ADD COLUMN cleanup BIGINT NOT NULL DEFAULT 0;
CREATE UNIQUE INDEX consent_grant_cleaner ON consent_grant (tenant, client, acting) WHERE source = 'cleanup' AND ended_at IS NULL;
CREATE INDEX consent_grant_cleanup ON consent_grant (expires_at) WHERE source = 'cleanup' AND ended_at IS NULL;
