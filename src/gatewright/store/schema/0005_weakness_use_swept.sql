-- The sweeper finds by it what nobody used for a year.
CREATE INDEX weakness_use_last ON weakness_use (last_at);
