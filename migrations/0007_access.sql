-- Who was let in, and who was refused.
-- Never change this file once released: add the next number instead.
ALTER TABLE inferences ADD COLUMN token TEXT;   -- name of the token that allowed the request, never its secret; NULL on loopback and in rows of older releases

-- Each request that was refused for lack of permission. The daemon keeps the newest 100,000 at most.
CREATE TABLE access (
    id INTEGER NOT NULL PRIMARY KEY,         -- in the order in which they were written
    time TEXT NOT NULL,                      -- as `inferences.time`
    clock TEXT,                              -- as in `inferences`: why `time` cannot be trusted
    clock_run_seconds INTEGER,
    address TEXT,                            -- from where; NULL over the local socket
    token TEXT,                              -- name of a known token that came with it; NULL where there was none
    endpoint TEXT NOT NULL,                  -- the route, such as /v1/extract, or other
    refusal TEXT NOT NULL                    -- why
) STRICT;
CREATE INDEX access_time ON access (time);
CREATE INDEX access_clock ON access (clock_run_seconds) WHERE clock IS NOT NULL;

-- How often each token has allowed a request, and when and from where it last did.
CREATE TABLE token_use (
    token TEXT NOT NULL PRIMARY KEY,         -- its name
    uses INTEGER NOT NULL,
    first_time TEXT NOT NULL,
    last_time TEXT NOT NULL,
    last_address TEXT
) STRICT;
