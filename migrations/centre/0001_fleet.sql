-- The centre of a fleet: the rows of all boxes in one PostgreSQL, 15 or newer, in the schema `public`.
-- `faceood-admin fleet migrate` runs this, then adds a column for everything else that a box ships. Here stand only those columns of a
-- box's row that this file works with.
-- Never change this file once released: add the next number instead.

-- Every box has a role of its own, named as its node, that belongs to faceood_box. Whoever reads all belongs to faceood_reader.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'faceood_box') THEN CREATE ROLE faceood_box NOLOGIN; END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'faceood_reader') THEN CREATE ROLE faceood_reader NOLOGIN; END IF;
    -- A batch is copied into a temporary table first.
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO faceood_box', current_database());
END $$;

REVOKE CREATE ON SCHEMA public FROM PUBLIC;

CREATE TABLE inferences (
    node text NOT NULL DEFAULT current_user,         -- which box
    log_id uuid NOT NULL,                            -- which log of it
    seq bigint,                                      -- the log's own count; NULL for rows from before it counted
    time timestamptz NOT NULL CHECK (isfinite(time)),
    id uuid NOT NULL,
    request_id text,
    request_key text,
    token text,
    source text,
    embedding_norm real,
    quality_score real,
    action text,
    pack_sha256 text,
    calibration_id text,
    error_code text,
    outcome text,
    outcome_note text,
    outcome_time timestamptz,
    outcome_node text,                               -- which other box brought the outcome; NULL where it is the box's own word
    extra jsonb,                                     -- columns of a newer box, until the centre has them
    -- 0…1, by chance and always the same for one row: the rows below 0.01 are a sample of one in a hundred.
    draw real NOT NULL GENERATED ALWAYS AS
        ((('x' || substr(md5(id::text), 1, 8))::bit(32)::bigint / 4294967296.0)::real) STORED,
    PRIMARY KEY (node, time, id)
) PARTITION BY RANGE (time);

-- Rows of broken clocks: no partition holds their month.
CREATE TABLE inferences_default PARTITION OF inferences DEFAULT;

CREATE INDEX inferences_request ON inferences (request_id);
CREATE INDEX inferences_time ON inferences USING brin (time);
CREATE INDEX inferences_low ON inferences (time) WHERE quality_score <= 0.4::real;
CREATE INDEX inferences_outcome ON inferences (time) WHERE outcome IS NOT NULL;
CREATE INDEX inferences_good_draw ON inferences (draw) WHERE quality_score > 0.4::real;

-- Counts and moments of every hour. A variance is squares / count − (sum / count)².
CREATE TABLE hourly (
    node text NOT NULL,
    source text,
    hour timestamptz NOT NULL,
    pack_sha256 text,
    calibration_id text,
    rows bigint NOT NULL,
    scored bigint NOT NULL,                          -- have a quality score
    low bigint NOT NULL,                             -- of them, at most 0.4
    accepted bigint NOT NULL,
    reviewed bigint NOT NULL,
    rejected bigint NOT NULL,
    errors bigint NOT NULL,
    score_sum double precision NOT NULL,
    score_squares double precision NOT NULL,
    normed bigint NOT NULL,                          -- have an embedding norm
    norm_sum double precision NOT NULL,
    norm_squares double precision NOT NULL,
    UNIQUE NULLS NOT DISTINCT (node, source, hour, pack_sha256, calibration_id)
);
CREATE INDEX hourly_hour ON hourly (hour);

-- Each box, as it was at its last visit.
CREATE TABLE boxes (
    node text PRIMARY KEY DEFAULT current_user,
    site text,                                       -- the operator says it: fleet enrol NODE --site
    version text,
    pack text,
    pack_version text,
    pack_sha256 text,
    calibration_id text,
    provider text,
    log_id uuid,
    last_seen timestamptz,                           -- by the centre's clock; NULL: never
    box_time timestamptz,                            -- by the box's own clock at that visit
    unshipped bigint,
    oldest timestamptz,                              -- of the unshipped rows
    quarantined bigint
);

-- Who ships which log. A log that two ship at once is a clone.
CREATE TABLE shippers (
    log_id uuid NOT NULL,
    instance uuid NOT NULL,                          -- a start of a machine, with one file
    node text NOT NULL DEFAULT current_user,
    first_seen timestamptz NOT NULL DEFAULT now(),
    last_seen timestamptz NOT NULL DEFAULT now(),
    address inet DEFAULT inet_client_addr(),
    PRIMARY KEY (log_id, instance, node)
);

-- What a box was told about a request that another box answered.
CREATE TABLE late_feedback (
    node text NOT NULL DEFAULT current_user,         -- which box was told
    request_id text NOT NULL,
    time timestamptz NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('genuine', 'impostor', 'unusable')),
    note text,
    only_token text,                                 -- where it stands, only a request that this token allowed is meant
    joined_node text,                                -- whose rows have it now; NULL: no such row yet, or its own box has had a word
    PRIMARY KEY (node, request_id, time)
);
CREATE INDEX late_feedback_request ON late_feedback (request_id, time);

-- A box sees and writes its own rows alone. It deletes nothing, and changes nothing but outcomes.
ALTER TABLE inferences ENABLE ROW LEVEL SECURITY;
ALTER TABLE boxes ENABLE ROW LEVEL SECURITY;
ALTER TABLE shippers ENABLE ROW LEVEL SECURITY;
ALTER TABLE late_feedback ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON inferences TO faceood_box USING (node = current_user) WITH CHECK (node = current_user);
CREATE POLICY own ON boxes TO faceood_box USING (node = current_user) WITH CHECK (node = current_user);
CREATE POLICY own ON shippers TO faceood_box USING (node = current_user) WITH CHECK (node = current_user);
CREATE POLICY own ON late_feedback TO faceood_box USING (node = current_user) WITH CHECK (node = current_user AND joined_node IS NULL);
GRANT SELECT, INSERT ON inferences, boxes, shippers, late_feedback TO faceood_box;
GRANT UPDATE (seq, outcome, outcome_note, outcome_time, outcome_node) ON inferences TO faceood_box;
GRANT UPDATE (version, pack, pack_version, pack_sha256, calibration_id, provider, log_id, last_seen, box_time, unshipped, oldest, quarantined)
    ON boxes TO faceood_box;
GRANT UPDATE (last_seen, address) ON shippers TO faceood_box;

CREATE POLICY reading ON inferences FOR SELECT TO faceood_reader USING (true);
CREATE POLICY reading ON boxes FOR SELECT TO faceood_reader USING (true);
CREATE POLICY reading ON shippers FOR SELECT TO faceood_reader USING (true);
CREATE POLICY reading ON late_feedback FOR SELECT TO faceood_reader USING (true);
GRANT SELECT ON inferences, inferences_default, hourly, boxes, shippers, late_feedback, _sqlx_migrations TO faceood_reader;
GRANT SELECT ON _sqlx_migrations TO faceood_box;

-- Makes the partition of the month that `moment` lies in, unless it is there. False: the clock that gave this time is broken, and its
-- rows stay in the default partition.
CREATE FUNCTION faceood_partition(moment timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' SET lock_timeout = '2s' AS $$
DECLARE
    first timestamptz := date_trunc('month', moment);
    next timestamptz := first + interval '1 month';
    partition text := 'inferences_' || to_char(first, 'YYYY_MM');
    listed text;
BEGIN
    IF moment NOT BETWEEN now() - interval '10 years' AND now() + interval '1 month' THEN
        RETURN false;
    END IF;
    IF to_regclass('public.' || partition) IS NOT NULL THEN
        RETURN true;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('faceood_partition', 0));
    IF to_regclass('public.' || partition) IS NOT NULL THEN
        RETURN true;
    END IF;
    EXECUTE format('CREATE TABLE %I (LIKE inferences INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING STORAGE INCLUDING CONSTRAINTS)', partition);
    -- Rows of a clock that was ahead: by now their month has come.
    SELECT string_agg(quote_ident(column_name), ', ') INTO listed FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name = 'inferences' AND is_generated = 'NEVER';
    EXECUTE format(
        'WITH moved AS (DELETE FROM inferences_default WHERE time >= %L AND time < %L RETURNING *) INSERT INTO %I (%s) SELECT %s FROM moved',
        first, next, partition, listed, listed);
    EXECUTE format('ALTER TABLE inferences ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', partition, first, next);
    EXECUTE format('GRANT SELECT ON %I TO faceood_reader', partition);
    RETURN true;
END $$;

-- Writes late feedback about these requests into their rows. Where an id was repeated, it is about the last request before the feedback.
-- It only fills what is empty or came by the same way: what a row's own box says about it stands. Words that were joined are looked at
-- again, because the rows of one request may come in two batches; of one id the newest hundred, because callers may repeat theirs.
CREATE FUNCTION faceood_join(requests text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    said record;
    since timestamptz;
    until timestamptz;
    about record;
    made timestamptz;
BEGIN
    FOR said IN SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY late_feedback.request_id ORDER BY late_feedback.time DESC) AS place
        FROM late_feedback WHERE late_feedback.request_id = ANY (requests)
    ) AS late WHERE place <= 100 ORDER BY late.time LOOP
        since := said.time - interval '31 days';
        until := said.time + interval '10 minutes';
        SELECT node, request_id, request_key INTO about FROM inferences
            WHERE request_id = said.request_id AND time BETWEEN since AND until
                AND (said.only_token IS NULL OR token = said.only_token)
            ORDER BY time DESC LIMIT 1;
        IF NOT FOUND AND said.request_id ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$' THEN
            -- The id of a row, which begins with the milliseconds of its time.
            made := to_timestamp(('x' || left(translate(said.request_id, '-', ''), 12))::bit(48)::bigint / 1000.0);
            SELECT node, inferences.request_id, request_key INTO about FROM boxes JOIN inferences USING (node)
                WHERE id = said.request_id::uuid AND time BETWEEN made - interval '1 minute' AND made + interval '1 minute'
                    AND (said.only_token IS NULL OR token = said.only_token)
                LIMIT 1;
        END IF;
        CONTINUE WHEN NOT FOUND;
        UPDATE inferences SET outcome = said.outcome, outcome_note = said.note, outcome_time = said.time, outcome_node = said.node
            WHERE node = about.node AND request_id = about.request_id AND request_key IS NOT DISTINCT FROM about.request_key
                AND time BETWEEN since AND until
                AND (outcome IS NULL OR (outcome_node IS NOT NULL AND outcome_time < said.time));
        IF FOUND THEN
            UPDATE late_feedback SET joined_node = about.node
                WHERE node = said.node AND request_id = said.request_id AND time = said.time;
        END IF;
    END LOOP;
END $$;

-- Counts rows in the statement that stores them: no row is counted twice, and no box can change a count. Rows that an operator
-- deletes are taken out of the counts; those of a partition that is detached or dropped stay in them.
CREATE FUNCTION faceood_stored() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    waiting text[];
    sign integer := CASE TG_OP WHEN 'DELETE' THEN -1 ELSE 1 END;
BEGIN
    -- A row and the word about it may come at the same moment: the one that comes second must see the other.
    IF TG_OP = 'INSERT' THEN
        PERFORM pg_advisory_xact_lock_shared(hashtextextended('faceood_join', 0));
    END IF;
    INSERT INTO hourly AS known
    SELECT node, source, date_trunc('hour', time, 'UTC'), pack_sha256, calibration_id,
        sign * count(*),
        sign * count(quality_score),
        sign * count(*) FILTER (WHERE quality_score <= 0.4::real),
        sign * count(*) FILTER (WHERE action = 'accept'),
        sign * count(*) FILTER (WHERE action = 'review'),
        sign * count(*) FILTER (WHERE action = 'reject'),
        sign * count(error_code),
        sign * coalesce(sum(quality_score::double precision), 0),
        sign * coalesce(sum(quality_score::double precision ^ 2), 0),
        sign * count(embedding_norm),
        sign * coalesce(sum(embedding_norm::double precision), 0),
        sign * coalesce(sum(embedding_norm::double precision ^ 2), 0)
    FROM stored GROUP BY 1, 2, 3, 4, 5
    -- Always in one order, so that two boxes never wait for each other.
    ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (node, source, hour, pack_sha256, calibration_id) DO UPDATE SET
        rows = known.rows + excluded.rows,
        scored = known.scored + excluded.scored,
        low = known.low + excluded.low,
        accepted = known.accepted + excluded.accepted,
        reviewed = known.reviewed + excluded.reviewed,
        rejected = known.rejected + excluded.rejected,
        errors = known.errors + excluded.errors,
        score_sum = known.score_sum + excluded.score_sum,
        score_squares = known.score_squares + excluded.score_squares,
        normed = known.normed + excluded.normed,
        norm_sum = known.norm_sum + excluded.norm_sum,
        norm_squares = known.norm_squares + excluded.norm_squares;
    IF TG_OP = 'DELETE' THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(DISTINCT late.request_id) INTO waiting FROM late_feedback AS late
        JOIN stored ON late.request_id IN (stored.request_id, stored.id::text)
        WHERE late.time > (SELECT min(time) FROM stored) - interval '10 minutes';
    IF waiting IS NOT NULL THEN
        PERFORM faceood_join(waiting);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER stored AFTER INSERT ON inferences REFERENCING NEW TABLE AS stored
    FOR EACH STATEMENT EXECUTE FUNCTION faceood_stored();
CREATE TRIGGER deleted AFTER DELETE ON inferences REFERENCING OLD TABLE AS stored
    FOR EACH STATEMENT EXECUTE FUNCTION faceood_stored();

CREATE FUNCTION faceood_feedback_came() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    waiting text[];
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('faceood_join', 0));
    SELECT array_agg(DISTINCT request_id) INTO waiting FROM told;
    PERFORM faceood_join(coalesce(waiting, '{}'));
    RETURN NULL;
END $$;
CREATE TRIGGER feedback_came AFTER INSERT ON late_feedback REFERENCING NEW TABLE AS told
    FOR EACH STATEMENT EXECUTE FUNCTION faceood_feedback_came();

-- Half of an id as a number: verification compares the exclusive or of both halves over a day.
CREATE FUNCTION faceood_id_half(id uuid, half integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ('x' || substr(replace(id::text, '-', ''), 1 + 16 * half, 16))::bit(64)::bigint
$$;

REVOKE ALL ON FUNCTION faceood_partition, faceood_join, faceood_stored, faceood_feedback_came FROM PUBLIC;
GRANT EXECUTE ON FUNCTION faceood_partition TO faceood_box;
