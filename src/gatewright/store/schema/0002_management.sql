-- The management API: through what and from where an act was done, and the answers that a repeated request gets again.

ALTER TABLE audit ADD client TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD address TEXT NOT NULL DEFAULT '';

-- `name` is a digest of the caller and the Idempotency-Key; `answer` is sealed under the root key and that very key, which is not kept.
CREATE TABLE repeat (
    name TEXT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    request TEXT NOT NULL,
    answer TEXT NOT NULL,
    until BIGINT NOT NULL
);
CREATE INDEX repeat_until ON repeat (until);
