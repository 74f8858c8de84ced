-- What ended while a JWT of it may live: what APIs are told by their revocation feed, kept until the last such token has expired.
-- A row names authorizations (a list of ids), one token by its jti (of one API), or parties (0 stands for any), then with the last
-- authorization that it may mean. `scopes` and `resources` are those of a single authorization, '' where they are not known.
-- `seq` is given to committed rows under the lock of `ending_head`, so that whoever has read one number has read all before it.
CREATE TABLE ending (
    id ID,
    tenant BIGINT NOT NULL,
    seq BIGINT,
    at BIGINT NOT NULL,
    until BIGINT NOT NULL,
    authorizations TEXT NOT NULL,
    jti TEXT NOT NULL,
    api BIGINT NOT NULL,
    client BIGINT NOT NULL,
    person BIGINT NOT NULL,
    account BIGINT NOT NULL,
    upto BIGINT NOT NULL,
    scopes TEXT NOT NULL,
    resources TEXT NOT NULL
);
CREATE UNIQUE INDEX ending_seq ON ending (seq) WHERE seq IS NOT NULL;
CREATE INDEX ending_tenant ON ending (tenant, seq) WHERE seq IS NOT NULL;
CREATE INDEX ending_waiting ON ending (id) WHERE seq IS NULL;
CREATE INDEX ending_until ON ending (until);
CREATE TABLE ending_head (
    id ID,
    head BIGINT NOT NULL
);
INSERT INTO ending_head (id, head) VALUES (1, 0);
-- Until when JWTs may live that an API got before its format or lifetime was changed last.
ALTER TABLE api ADD COLUMN jwt_until BIGINT NOT NULL DEFAULT 0;
