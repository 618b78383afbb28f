-- What became of an answer, as its caller told later through POST /v1/feedback. It stands in every row of the request, so that
-- whatever keeps, exports or deletes a row does the same with it.
-- Never change this file once released: add the next number instead.
ALTER TABLE inferences ADD COLUMN outcome TEXT;       -- genuine | impostor | unusable
ALTER TABLE inferences ADD COLUMN outcome_note TEXT;  -- the caller's words
ALTER TABLE inferences ADD COLUMN outcome_time TEXT;  -- when it was told, as `time`

-- Calibration reads the rows that have an outcome, among many that have none.
CREATE INDEX inferences_outcome ON inferences (time, id) WHERE outcome IS NOT NULL;
