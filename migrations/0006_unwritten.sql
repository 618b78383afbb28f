-- Rows that the log could not take, counted: one line for each time without room, endpoint and outcome.
-- Never change this file once released: add the next number instead.
CREATE TABLE unwritten (
    id INTEGER NOT NULL PRIMARY KEY,
    since TEXT NOT NULL,                     -- as `inferences.time`
    until TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    error_code TEXT,                         -- what the rows would have had
    is_answered INTEGER NOT NULL,            -- 1: the callers got their answers all the same (log.on_failure = "continue")
    rows INTEGER NOT NULL
) STRICT;
