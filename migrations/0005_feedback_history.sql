-- Every word about an answer, one row each; the newest is in force and stands in `inferences` too, for whoever reads rows.
-- Never change this file once released: add the next number instead.
CREATE TABLE feedback (
    id INTEGER NOT NULL PRIMARY KEY,         -- in the order in which it was told
    time TEXT NOT NULL,                      -- as `inferences.time`
    request_id TEXT NOT NULL,                -- the request that it is about
    request_key TEXT,                        -- which of the requests with that id
    outcome TEXT NOT NULL,                   -- genuine | impostor | unusable
    note TEXT,                               -- the caller's words
    author TEXT,                             -- who said so, in the caller's words
    address TEXT                             -- from where it was told
) STRICT;
CREATE INDEX feedback_request ON feedback (request_id);

INSERT INTO feedback (time, request_id, outcome, note)
SELECT outcome_time, request_id, outcome, outcome_note FROM inferences
WHERE outcome IS NOT NULL AND outcome_time IS NOT NULL GROUP BY request_id ORDER BY outcome_time;

-- What deletes a row deletes what was said about it.
CREATE TRIGGER feedback_goes_with_its_row AFTER DELETE ON inferences BEGIN
    DELETE FROM feedback WHERE request_id = OLD.request_id AND request_key IS OLD.request_key;
END;
