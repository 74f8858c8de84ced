-- What became less while JWTs that say more may live is told by the same feed, in the same order. `lost` is '' for what ended; for what
-- was narrowed it is a JSON object: the scopes or role names of which a token has one, or the issuer, where that is not every token; or
-- the `kid` of a signing key that was withdrawn.
-- `numbered_at` is when the row got its number, which is after it was committed: no older token knows of it.
ALTER TABLE ending ADD COLUMN lost TEXT NOT NULL DEFAULT '';
ALTER TABLE ending ADD COLUMN numbered_at BIGINT NOT NULL DEFAULT 0;
-- Scopes that go by themselves are told of on their day.
CREATE INDEX scope_retires ON scope (retires_at) WHERE retires_at IS NOT NULL;
