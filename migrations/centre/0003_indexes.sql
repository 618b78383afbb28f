-- What a report by the action looks for in a large fleet: captures that were not accepted, and a sample of all others.

CREATE INDEX inferences_refused ON inferences (time)
    WHERE quality_score IS NOT NULL AND NOT coalesce(action = 'accept', quality_score > 0.4::real);

-- A sample of at most one in a hundred is read, of accepted rows or of those above a score. Its index has no other rows.
DROP INDEX inferences_good_draw;
CREATE INDEX inferences_draw ON inferences (draw) WHERE draw < 0.01::real;
