-- One row per face and request; a request without a face, or one that failed, has one row with most columns NULL.
-- Never change this file once released: add the next number instead.
CREATE TABLE inferences (
    id TEXT NOT NULL PRIMARY KEY,            -- UUIDv7
    time TEXT NOT NULL,                      -- RFC 3339, UTC, microseconds: sorts as text
    request_id TEXT NOT NULL,
    endpoint TEXT NOT NULL,                  -- extract | compare | quality
    role TEXT NOT NULL,                      -- image | probe | reference
    scenario TEXT,
    source TEXT,                             -- the caller's terminal or camera id
    -- the picture
    image_width INTEGER,                     -- pixels, upright
    image_height INTEGER,
    image_format TEXT,
    image_bytes INTEGER,
    -- the face
    face_index INTEGER,                      -- 0 is the largest
    face_count INTEGER,                      -- faces in this picture; 0: looked at, none found
    box_x REAL,                              -- pixels of the upright picture
    box_y REAL,
    box_width REAL,
    box_height REAL,
    detection_score REAL,
    pose_yaw REAL,                           -- degrees
    pose_pitch REAL,
    pose_roll REAL,
    embedding_norm REAL,                     -- length before normalisation, as the pack defines it
    network_norms TEXT,                      -- JSON object, network → length
    ood_logit REAL,                          -- raw, unbounded
    -- can it be trusted
    quality_score REAL,
    interval_low REAL,
    interval_high REAL,
    pass_probability REAL,
    grade TEXT,
    action TEXT,
    threshold REAL,                          -- the policy's accept cut at that time
    reasons TEXT,                            -- JSON array
    causes TEXT,                             -- JSON array of {name, weight}
    -- a pair
    similarity REAL,
    verdict TEXT,
    -- where the time went
    queue_ms REAL,
    decode_ms REAL,
    detect_ms REAL,
    align_ms REAL,
    embed_ms REAL,
    judge_ms REAL,
    total_ms REAL,
    -- what judged
    pack TEXT,
    pack_version TEXT,
    pack_sha256 TEXT,
    provider TEXT,
    calibration_id TEXT,
    -- what went wrong
    error_code TEXT,
    error_detail TEXT,
    -- only where the settings ask for them
    embedding BLOB,                          -- 512 little-endian 32-bit floats, unit length
    thumbnail BLOB,                          -- an encoded picture of the face
    -- every quality component, named as in the API
    sharpness REAL,
    under_exposure_prevention REAL,
    over_exposure_prevention REAL,
    luminance_mean REAL,
    luminance_variance REAL,
    dynamic_range REAL,
    illumination_uniformity REAL,
    compression_artifacts REAL,
    noise REAL,
    motion_blur REAL,
    motion_direction REAL,
    recapture_pattern REAL,
    inter_eye_distance REAL,
    head_pose_yaw REAL,
    head_pose_pitch REAL,
    head_pose_roll REAL,
    mouth_occlusion_prevention REAL
) STRICT;

-- (time, id) is the order of paging and of retention.
CREATE INDEX inferences_time ON inferences (time, id);
CREATE INDEX inferences_source_time ON inferences (source, time, id) WHERE source IS NOT NULL;
CREATE INDEX inferences_request ON inferences (request_id);
CREATE INDEX inferences_score ON inferences (quality_score) WHERE quality_score IS NOT NULL;

-- One row that is written and emptied again to find out whether the log can be written, without touching anybody's data.
CREATE TABLE write_probe (
    id INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    time TEXT NOT NULL,
    ballast BLOB NOT NULL
) STRICT;
