-- What requests to an API need where a proxy asks: its table of routes, a JSON document, and for how many seconds an answer may be kept.
ALTER TABLE api ADD COLUMN routes TEXT NOT NULL DEFAULT '[]';
ALTER TABLE api ADD COLUMN verify_max_age BIGINT NOT NULL DEFAULT 0;
