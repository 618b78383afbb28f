-- Under which name a centre has the rows of this log, so that a box with a new name does not send its history again.
-- Never change this file once released: add the next number instead.

ALTER TABLE shipping ADD COLUMN node TEXT;               -- NULL: not known yet
