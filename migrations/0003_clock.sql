-- What the wall clock is worth: rows whose time cannot be trusted are marked, and what the daemon has seen of the clock is kept.
-- Never change this file once released: add the next number instead.
ALTER TABLE inferences ADD COLUMN clock TEXT;                  -- unsynchronised | jumped; NULL: nothing speaks against `time`
ALTER TABLE inferences ADD COLUMN clock_run_seconds INTEGER;   -- of a marked row: how long the daemon had run on this log

-- Retention goes by `time` where that can be trusted, and by running time where it cannot.
CREATE INDEX inferences_trusted_time ON inferences (time, id) WHERE clock IS NULL;
CREATE INDEX inferences_clock ON inferences (clock_run_seconds) WHERE clock IS NOT NULL;

-- The last look at the clock. Times are RFC 3339; running time is counted in seconds over all starts of the daemon.
CREATE TABLE clock_watch (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    seen_time TEXT NOT NULL,
    seen_run_seconds INTEGER NOT NULL,
    last_row INTEGER NOT NULL,               -- the newest row's number at that look
    doubt_time TEXT,                         -- the first look after a jump; NULL while the clock is trusted
    doubt_run_seconds INTEGER,
    expected_time TEXT,                      -- the last look before that jump
    expected_run_seconds INTEGER,
    accepted_time TEXT                       -- an operator said at this time that the clock is right
) STRICT;
