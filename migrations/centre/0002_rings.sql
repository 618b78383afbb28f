-- The ring of a box, in which releases are rolled out, apart from the site where it stands.

ALTER TABLE boxes ADD COLUMN ring text;                  -- the operator says it: fleet enrol NODE --ring
