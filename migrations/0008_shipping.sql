-- What a centre gets of this log: in which order rows were committed, how far each centre has got, and what was deleted after it
-- had arrived there.
-- Never change this file once released: add the next number instead.

-- The order of commits: given by the one writer when it inserts a row, and anew when feedback changes it. Times can go back and
-- SQLite gives row numbers again after the last rows were deleted; this does neither. NULL in rows of older releases.
ALTER TABLE inferences ADD COLUMN seq INTEGER;
CREATE INDEX inferences_seq ON inferences (seq) WHERE seq IS NOT NULL;
-- Rows of older releases are shipped by time. The index loses its entries as they are deleted or get feedback. It holds `seq` so
-- that rows are counted without reading them.
CREATE INDEX inferences_unnumbered ON inferences (time, id, seq) WHERE seq IS NULL;

CREATE TABLE log_identity (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    log_id TEXT NOT NULL,                    -- a random UUID: two logs of one box, one after the other, have different ones
    node TEXT                                -- the box's name in its settings; NULL until a daemon has said it
) STRICT;

-- How far each centre has got.
CREATE TABLE shipping (
    target TEXT NOT NULL PRIMARY KEY,        -- which centre, without credentials
    seq INTEGER NOT NULL DEFAULT 0,          -- it has every row up to this one
    old_time TEXT NOT NULL DEFAULT '',       -- and every row without `seq` up to this place in the order of (time, id)
    old_id TEXT NOT NULL DEFAULT '',
    late INTEGER NOT NULL DEFAULT 0,         -- and all of late_feedback up to this line
    rows INTEGER NOT NULL DEFAULT 0,         -- so many rows it has taken; a row that changed counts again
    last_success TEXT                        -- when it last took something, as `inferences.time`
) STRICT, WITHOUT ROWID;

-- Rows that a centre did not take and that were passed over.
CREATE TABLE shipping_quarantine (
    id TEXT NOT NULL,                        -- as `inferences.id`
    target TEXT NOT NULL,
    time TEXT NOT NULL,                      -- as `inferences.time`
    reason TEXT NOT NULL,
    noted TEXT NOT NULL,                     -- when, as `inferences.time`
    PRIMARY KEY (id, target)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER quarantine_goes_with_its_row AFTER DELETE ON inferences BEGIN
    DELETE FROM shipping_quarantine WHERE id = OLD.id;
END;

-- Rows that were deleted after a centre had got them, summed up by UTC day, so that both sides can still be compared.
CREATE TABLE pruned_days (
    target TEXT NOT NULL,
    day TEXT NOT NULL,                       -- such as 2026-11-30
    rows INTEGER NOT NULL,
    id_high INTEGER NOT NULL,                -- XOR of the first 64 bits of their ids
    id_low INTEGER NOT NULL,                 -- XOR of the last 64 bits
    outcomes INTEGER NOT NULL,               -- so many of them had an outcome
    PRIMARY KEY (target, day)
) STRICT, WITHOUT ROWID;

-- Feedback about requests that this log does not have: behind a load balancer another box may have answered them. Kept only where
-- log.keep_late_feedback says so; the newest 100,000 at most.
CREATE TABLE late_feedback (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,   -- never given again: cursors rest on it
    time TEXT NOT NULL,                      -- as `inferences.time`
    clock TEXT,                              -- as in `inferences`: why `time` cannot be trusted
    clock_run_seconds INTEGER,
    request_id TEXT NOT NULL,
    outcome TEXT NOT NULL,                   -- genuine | impostor | unusable
    note TEXT,                               -- the caller's words
    token TEXT                               -- where it stands, only requests that this token allowed are meant
) STRICT;
CREATE INDEX late_feedback_request ON late_feedback (request_id);
CREATE INDEX late_feedback_time ON late_feedback (time);
