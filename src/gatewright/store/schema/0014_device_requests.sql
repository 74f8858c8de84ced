-- A device that asked to be let in and waits for its user (RFC 8628). Its id is that of the authorization that comes of it. What the
-- user types is short, so its digest is keyed.
CREATE TABLE device_request (
    id ID,
    tenant BIGINT NOT NULL,
    issuer TEXT NOT NULL,
    client BIGINT NOT NULL,
    device_digest TEXT NOT NULL,
    user_digest TEXT NOT NULL,
    scopes TEXT NOT NULL,
    resources TEXT NOT NULL,
    account TEXT NOT NULL,
    network TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    poll_interval BIGINT NOT NULL,
    answer TEXT,
    answered_at BIGINT,
    answered_by TEXT
);
CREATE UNIQUE INDEX device_request_user_code ON device_request (tenant, user_digest);
CREATE INDEX device_request_client ON device_request (client, expires_at, network);
CREATE INDEX device_request_expires ON device_request (expires_at);
