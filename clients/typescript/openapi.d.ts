// Made from the service's /openapi.json by tests/page/client-types.js; do not edit.

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description A rectangle in pixels, origin top left; it may reach over the edge of the picture. */
        Box: {
            /**
             * Format: float
             * @description Extent downwards.
             */
            height: number;
            /**
             * Format: float
             * @description Extent to the right.
             */
            width: number;
            /**
             * Format: float
             * @description Left edge.
             */
            x: number;
            /**
             * Format: float
             * @description Top edge.
             */
            y: number;
        };
        /** @description One way to run the models, and how it did. */
        Candidate: {
            /**
             * Format: float
             * @description Cosine between its embedding of the test face and that of ONNX Runtime's CPU kernels in f32.
             */
            cosine: number | null;
            /**
             * Format: double
             * @description Median time of a run of the embedder while all sessions run, milliseconds.
             */
            embed_ms: number | null;
            /** @description Why it could not be chosen; null where it could. */
            excluded: string | null;
            /** @description Into what PReLU is rewritten. */
            form: string;
            /** @description `f32` or `bf16`. */
            precision: string;
            /** @description `cuda`, `openvino` or `cpu`. */
            provider: string;
            /**
             * Format: double
             * @description Test faces that went through the whole pipeline each second; null where it did not run.
             */
            requests_per_second: number | null;
            /**
             * Format: float
             * @description Its quality score of the test face less theirs.
             */
            score_difference: number | null;
            /** @description Pictures that are analysed at once. */
            sessions: number;
            /** @description Threads of each session. */
            threads: number;
        };
        /** @description Documents [`Cause`], which goes out as it is. */
        Cause: {
            /**
             * @description noise, blur, motion_blur, low_resolution, compression, underexposure, overexposure, screen_recapture, occlusion,
             *     mask, pose or unknown.
             * @example noise
             */
            name: string;
            /**
             * Format: float
             * @description Its share of what is missing to a good score; all weights of a face sum to at most 1.
             */
            weight: number;
        };
        /** @description What was measured to choose how the models run. */
        ChosenBy: {
            /** @description Every way that was tried. */
            candidates: components["schemas"]["Candidate"][];
            /** @description Cores that the daemon may use. */
            cores: number;
            /** @description Those of its instructions that models are fast with. */
            features: string[];
            /**
             * Format: date-time
             * @description When.
             */
            measured_at: string;
            /** @description Name of the processor. */
            processor: string;
        };
        /** @description One side: the face that was found in its picture, or what is known of the embedding that was given. */
        ComparedSide: components["schemas"]["Face"] | components["schemas"]["GivenSide"];
        /** @description The answer on a pair of faces. */
        Comparison: {
            /** @description Advice for the person in front of the camera. */
            hints: components["schemas"]["SideHint"][];
            /** @description What answered. */
            model: components["schemas"]["Model"];
            /** @description The sample being questioned. */
            probe: components["schemas"]["ComparedSide"];
            /** @description The sample it is compared with. */
            reference: components["schemas"]["ComparedSide"];
            /** @description Under which the log has this request. */
            request_id: string;
            /**
             * Format: float
             * @description Cosine of the two embeddings, −1…1.
             * @example 0.71
             */
            similarity: number;
            /** @description The cuts on the similarity. */
            thresholds: components["schemas"]["Thresholds"];
            /** @description Where the time went, both sides together; `total` is the time that passed, as both are analysed at once. */
            timings_ms: components["schemas"]["Timings"];
            /**
             * @description `untrusted` where a side is rejected, whatever the similarity; else `different`, `review` or `same`.
             * @example same
             */
            verdict: string;
        };
        /** @description What the scenario's policy makes of a face. */
        Decision: {
            /**
             * @description `accept`, `review` or `reject`.
             * @example accept
             */
            action: string;
            /** @description What decided, where the action is not accept: `quality`, `face_too_small`, `several_faces`. */
            reasons: string[];
            /**
             * @description The scenario that decided.
             * @example access
             */
            scenario: string;
            /**
             * Format: float
             * @description The policy's accept cut on the quality score.
             */
            threshold: number;
        };
        /** @description The answer on one picture. */
        Extraction: {
            /** @description Faces, largest first. */
            faces: components["schemas"]["Face"][];
            /**
             * @description How many faces were found: where only the largest is asked for, as far as the search saw
             *     others on its way.
             */
            faces_found: number;
            /**
             * @description How many of the faces asked for are left out, because a picture may have no more than
             *     `limits.max_faces` of `/v1/info`.
             */
            faces_omitted: number;
            /** @description Advice for the person in front of the camera. */
            hints: components["schemas"]["Hint"][];
            /** @description The picture. */
            image: components["schemas"]["Image"];
            /** @description What answered. */
            model: components["schemas"]["Model"];
            /** @description Under which the log has this request. */
            request_id: string;
            /** @description Where the time went. */
            timings_ms: components["schemas"]["Timings"];
        };
        /** @description One face of a picture. */
        Face: {
            /** @description Around the face. */
            box: components["schemas"]["Box"];
            /** @description What the scenario makes of it. */
            decision: components["schemas"]["Decision"];
            /**
             * Format: float
             * @description The detector's confidence that this is a face, 0–1. Not a quality, not a similarity.
             */
            detection_score: number;
            /** @description 512 numbers of unit length, where they are asked for. */
            embedding?: number[];
            /**
             * Format: float
             * @description Length before normalisation, as the pack defines it: about 1 for clean faces with the default pack, less for worse.
             */
            embedding_norm: number;
            /** @description Eyes, nose, mouth corners, image left to right: x and y in pixels. */
            landmarks: number[][];
            /** @description Rotation of the head. */
            pose: components["schemas"]["Pose"];
            /** @description How far it can be trusted. */
            quality: components["schemas"]["Quality"];
        };
        /** @description What stands in the log now. */
        Feedback: {
            /** @description The words that came with it. */
            note: string | null;
            /** @description How it turned out. */
            outcome: components["schemas"]["Outcome"];
            /** @description The request that it is about. */
            request_id: string;
            /** @description Since when this stands in the log, RFC 3339. */
            time: string;
        };
        /**
         * FeedbackRequest
         * @description What a caller tells of an earlier request.
         */
        FeedbackRequest: {
            /** @description Who says so, at most 64 characters; nobody checks it. */
            author?: string | null;
            /** @description A few words for whoever looks at the row, at most 500 characters. */
            note?: string | null;
            /** @description How it turned out. */
            outcome: components["schemas"]["Outcome"];
            /**
             * @description The `request_id` of the answer that it is about; of several with one id the last is meant,
             *     and a row's `id` names another.
             */
            request_id: string;
        };
        /** @description A quality score that a caller kept with an embedding. */
        GivenQuality: {
            /**
             * @description The score in a word.
             * @example good
             */
            grade: string;
            /**
             * Format: float
             * @description As it was given.
             */
            score: number;
        };
        /** @description A side that was given as an embedding. */
        GivenSide: {
            /** @description What the scenario makes of it. */
            decision: components["schemas"]["Decision"];
            /** @description 512 numbers of unit length, where they are asked for. */
            embedding?: number[];
            quality: components["schemas"]["GivenQuality"] | null;
        };
        /** @description How the service is. */
        Health: {
            /**
             * @description `alive` or `ready`.
             * @example ready
             */
            status: string;
            /** @description What an operator should see to although requests are served. */
            warnings?: string[];
        };
        /** @description Advice for the person in front of the camera. */
        Hint: {
            /**
             * @description `no_face`, `image_too_small`, `move_closer`, `more_light`, `less_light`, `hold_still`, `face_camera`, `uncover_face`,
             *     `several_faces` or `avoid_screen`.
             * @example move_closer
             */
            code: string;
            /** @description The advice in English, or in Chinese for `Accept-Language: zh`. */
            message: string;
        };
        /** @description The picture as it was understood: upright, type by content. */
        Image: {
            /**
             * @description `jpeg`, `png`, `webp`, `bmp` or `tiff`.
             * @example jpeg
             */
            format: string;
            /**
             * Format: int32
             * @description Upright height in pixels.
             */
            height: number;
            /**
             * Format: int32
             * @description Upright width in pixels.
             */
            width: number;
        };
        /** @description A page of the log. */
        Inferences: {
            /** @description Rows, newest first: each column of the table `inferences` but embeddings and thumbnails. */
            inferences: Record<string, never>[];
            /** @description The value of `cursor` for the next page; null on the last. */
            next_cursor: string | null;
        };
        /** @description What runs here, by which rules, within which limits. */
        Info: {
            /** @description Which calibration turns logits into scores. */
            calibration_id: string;
            /** @description The scenario that decides where a request names none. */
            default_scenario: string;
            /** @description What is refused. */
            limits: components["schemas"]["Limits"];
            /** @description Always `faceood`. */
            name: string;
            /**
             * @description The name of this box among others, as in the header `X-Faceood-Node`.
             * @example box-1
             */
            node: string;
            /** @description The models. */
            pack: components["schemas"]["Pack"];
            /** @description Rules by scenario. */
            policies: {
                [key: string]: components["schemas"]["Policy"];
            };
            /** @description What is stored. */
            privacy: components["schemas"]["Privacy"];
            /** @description Where they run. */
            provider: components["schemas"]["Provider"];
            /**
             * @description Where the newest report on what was answered is to be read; null where none has been written.
             * @example /reports/latest
             */
            report: string | null;
            /** @description Cuts on the similarity of two embeddings. */
            thresholds: components["schemas"]["Thresholds"];
            tls: components["schemas"]["Tls"] | null;
            /** @description Release of the daemon. */
            version: string;
        };
        /** @description What is refused. */
        Limits: {
            /**
             * Format: int64
             * @description Most milliseconds from the end of an upload to the answer.
             */
            deadline_ms: number;
            /** @description Types that are read. */
            formats: string[];
            /** @description Largest picture in bytes. */
            image_bytes: number;
            /**
             * Format: int64
             * @description Largest picture in pixels.
             */
            image_pixels: number;
            /** @description Most faces of a picture that are analysed where all are asked for; the largest come first. */
            max_faces: number;
            /** @description Pictures that may wait for a worker before requests are refused. */
            queue: number;
        };
        /** @description What answered. */
        Model: {
            /**
             * @description Name of the model pack.
             * @example default
             */
            pack: string;
            /**
             * @description Where it runs: `cuda`, `openvino` or `cpu`.
             * @example cpu
             */
            provider: string;
            /** @description Its SHA-256: embeddings of packs that differ in it must not be compared. */
            sha256: string;
            /** @description Its version. */
            version: string;
        };
        /** @description A token to be made. */
        NewToken: {
            /**
             * Format: date-time
             * @description When it stops being valid, RFC 3339; without it, never.
             */
            expires?: string | null;
            /** @description Name in the log and in metrics: 1–64 of `[A-Za-z0-9._:-]`. */
            name: string;
            /** @description `terminal`, `operator`, `metrics` or `admin`. */
            role: string;
            /** @description The only sources for which a terminal may ask; without them it may ask for all. */
            sources?: string[];
        };
        /**
         * @description How a capture turned out.
         * @enum {string}
         */
        Outcome: "genuine" | "impostor" | "unusable";
        /** @description The loaded model pack. */
        Pack: {
            /** @description Under which its files may be used. */
            licence: string;
            /**
             * @description Its name.
             * @example default
             */
            name: string;
            /** @description Its SHA-256. */
            sha256: string;
            /** @description Its version. */
            version: string;
        };
        /**
         * @description One side of a comparison.
         * @enum {string}
         */
        Part: "probe" | "reference";
        /** @description The rules of a scenario. */
        Policy: {
            /**
             * Format: float
             * @description At or above this quality score: accept.
             * @example 0.6
             */
            accept: number;
            /**
             * Format: int32
             * @description A face whose shorter side is under this is rejected.
             * @example 48
             */
            min_face_px: number;
            /**
             * Format: float
             * @description At or above this quality score: review; below it: reject.
             * @example 0.4
             */
            review: number;
            /** @description Whether a picture with several faces is rejected. */
            single_face: boolean;
        };
        /** @description Rotation of the head in degrees; 0 is a frontal, upright head. */
        Pose: {
            /**
             * Format: float
             * @description Nod; positive: the nose points up.
             */
            pitch: number;
            /**
             * Format: float
             * @description Tilt; positive: clockwise on the screen.
             */
            roll: number;
            /**
             * Format: float
             * @description Turn; positive: the nose points to the image's right.
             */
            yaw: number;
        };
        /** @description What is stored of pictures and faces besides numbers about them. */
        Privacy: {
            /** @description Whether embeddings are kept in the log. */
            keeps_embeddings: boolean;
            /** @description Whether small pictures of faces are kept in the log. */
            keeps_thumbnails: boolean;
        };
        /**
         * Problem
         * @description An RFC 9457 problem.
         */
        Problem: {
            /** @description What was got, what was expected, what to do. */
            detail: string;
            part?: components["schemas"]["Part"] | null;
            /** @description Under which the log has more. */
            request_id: string;
            /**
             * Format: int32
             * @description The HTTP status again.
             */
            status: number;
            /** @description A short summary, the same for every occurrence. */
            title: string;
            /**
             * @description `urn:faceood:problem:` and the code.
             * @example urn:faceood:problem:no_face
             * @enum {string}
             */
            type: "urn:faceood:problem:malformed_request" | "urn:faceood:problem:unknown_scenario" | "urn:faceood:problem:invalid_parameter" | "urn:faceood:problem:unauthenticated" | "urn:faceood:problem:forbidden" | "urn:faceood:problem:not_found" | "urn:faceood:problem:method_not_allowed" | "urn:faceood:problem:model_mismatch" | "urn:faceood:problem:image_too_large" | "urn:faceood:problem:unsupported_media_type" | "urn:faceood:problem:undecodable_image" | "urn:faceood:problem:no_face" | "urn:faceood:problem:rate_limited" | "urn:faceood:problem:internal" | "urn:faceood:problem:overloaded" | "urn:faceood:problem:deadline_exceeded" | "urn:faceood:problem:not_ready";
        };
        /** @description Where the models run. */
        Provider: {
            chosen_by: components["schemas"]["ChosenBy"] | null;
            /**
             * @description Into what PReLU is rewritten: `convolutions`, `minimum`, or `published` where it stays.
             * @example convolutions
             */
            form: string;
            /**
             * @description `cuda`, `openvino` or `cpu`: the one that really runs, not the one that was asked for.
             * @example cpu
             */
            name: string;
            /**
             * @description `f32` or `bf16`.
             * @example f32
             */
            precision: string;
            /** @description Why it is this one. */
            reason: string;
            /**
             * @description Pictures that are analysed at once, each with sessions of its own.
             * @example 2
             */
            sessions: number;
            /**
             * @description Threads of the embedder's session.
             * @example 1
             */
            threads: number;
        };
        /** @description How far a face can be trusted. */
        Quality: {
            /** @description What pulls the score down, largest weight first. */
            causes: components["schemas"]["Cause"][];
            /** @description What was measured; null where it could not be assessed. */
            components: {
                [key: string]: number | null;
            };
            /**
             * @description The score in a word: excellent from .80, good from .60, fair from .40, poor from .30, else bad.
             * @example excellent
             */
            grade: string;
            /**
             * @description Where another shot of the same scene would score 9 times in 10.
             * @example [
             *       0.74,
             *       0.9
             *     ]
             */
            interval: number[];
            /**
             * Format: float
             * @description Calibrated probability that this capture reaches a similarity of 0.45 against a good reference.
             */
            pass_probability: number;
            /**
             * Format: float
             * @description The similarity that this capture is expected to reach against a good reference, on a fixed 0–1 curve.
             * @example 0.83
             */
            score: number;
        };
        /** @description Advice, and the side that it is for. */
        SideHint: components["schemas"]["Hint"] & {
            /** @description The side. */
            part: components["schemas"]["Part"];
        };
        /** @description Cuts on the similarity; at a cut counts as above. */
        Thresholds: {
            /**
             * Format: float
             * @description Below this `different`; between the two `review`.
             * @example 0.35
             */
            different: number;
            /**
             * Format: float
             * @description From here on `same`, unless a side's action is review.
             * @example 0.45
             */
            same: number;
        };
        /** @description Milliseconds in each stage. `total` counts waiting and everything in between too. */
        Timings: {
            /**
             * Format: float
             * @description Landmarks, pose and warp.
             */
            align: number;
            /**
             * Format: float
             * @description Bytes → pixels.
             */
            decode: number;
            /**
             * Format: float
             * @description Finding faces.
             */
            detect: number;
            /**
             * Format: float
             * @description Embedding, norm and OOD logit.
             */
            embed: number;
            /**
             * Format: float
             * @description Components, score, causes, decision.
             */
            judge: number;
            /**
             * Format: float
             * @description Waiting for a worker.
             */
            queue: number;
            /**
             * Format: float
             * @description From the picture's arrival to the answer.
             */
            total: number;
        };
        /** @description How addresses off loopback speak TLS. */
        Tls: {
            /**
             * @description Where the certificate of the box's own authority is to be had; null where a certificate was
             *     configured.
             * @example /ca.pem
             */
            authority: string | null;
            /** @description SHA-256 fingerprint of that authority. */
            authority_sha256: string | null;
            /**
             * Format: date-time
             * @description When the certificate ends.
             */
            certificate_ends: string;
            /** @description SHA-256 fingerprint of the certificate. */
            certificate_sha256: string;
            /**
             * @description Whether clients show a certificate: `off`, `optional` or `required`.
             * @example off
             */
            client_auth: string;
        };
        /** @description One token, without its secret. */
        Token: {
            /**
             * Format: date-time
             * @description When it was added.
             */
            created: string;
            /**
             * Format: date-time
             * @description When it stops being valid.
             */
            expires?: string | null;
            /** @description From where that one came. */
            last_address?: string | null;
            /**
             * Format: date-time
             * @description The last of them.
             */
            last_use?: string | null;
            /** @description Stands in rows, log lines and metrics. */
            name: string;
            /**
             * Format: date-time
             * @description Until when the secret before the last rotation is valid.
             */
            previous_until?: string | null;
            /** @description What it is for. */
            role: string;
            /** @description The only sources for which it may ask; empty: all. */
            sources: string[];
            /** @description Whether it opens anything: `valid`, `expired` or `revoked`. */
            state: string;
            /**
             * Format: int64
             * @description Requests that it has allowed, as far as the log knows.
             */
            uses: number;
        };
        /** @description All tokens. */
        TokenList: {
            /** @description In the order in which they were added. */
            tokens: components["schemas"]["Token"][];
        };
        /** @description How the secret of a token is replaced. */
        TokenRotation: {
            /**
             * Format: int32
             * @description How long the old secret stays valid, in seconds.
             * @default 86400
             */
            keep_old_seconds: number;
        };
        /** @description A token with its secret, which is shown this once. */
        TokenSecret: {
            name: string;
            /**
             * Format: date-time
             * @description Until when the former secret is valid too.
             */
            previous_until?: string | null;
            /** @description What the caller sends as `Authorization: Bearer` or `X-API-Key`. */
            token: string;
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
