-- One key for all rows of one request. `request_id` may be the caller's own, and callers repeat theirs.
-- Never change this file once released: add the next number instead.
ALTER TABLE inferences ADD COLUMN request_key TEXT;   -- UUIDv7; NULL in rows of older releases
