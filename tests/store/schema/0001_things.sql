-- What the conformance suite plays with; a `;` in a comment ends nothing;
CREATE TABLE thing (
    id ID,
    name TEXT,
    n BIGINT NOT NULL,
    taken_by TEXT,
    taken_at BIGINT
);
CREATE TABLE once (
    name TEXT NOT NULL,
    tenant BIGINT NOT NULL,
    attempt TEXT NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (tenant, name)
);
-- Its broken rule shows only at COMMIT.
CREATE TABLE child (
    id ID,
    thing BIGINT NOT NULL REFERENCES thing (id) DEFERRABLE INITIALLY DEFERRED
);
INSERT INTO thing (id, name, n) VALUES (1, 'ID; not a type', 0);
CREATE TABLE change_head (id ID, head BIGINT NOT NULL);
INSERT INTO change_head (id, head) VALUES (1, 0);
CREATE TABLE change (
    seq BIGINT PRIMARY KEY,
    tenant BIGINT NOT NULL,
    kind TEXT NOT NULL,
    subject BIGINT NOT NULL,
    at BIGINT NOT NULL
);
