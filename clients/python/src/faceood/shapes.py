"""What the service answers. Made from its /openapi.json by generate_shapes.py; do not edit."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias, TypedDict


class Box(TypedDict):
    """A rectangle in pixels, origin top left; it may reach over the edge of the picture."""

    height: float
    """Extent downwards."""
    width: float
    """Extent to the right."""
    x: float
    """Left edge."""
    y: float
    """Top edge."""


class Candidate(TypedDict):
    """One way to run the models, and how it did."""

    cosine: float | None
    """Cosine between its embedding of the test face and that of ONNX Runtime's CPU kernels in f32."""
    embed_ms: float | None
    """Median time of a run of the embedder while all sessions run, milliseconds."""
    excluded: str | None
    """Why it could not be chosen; null where it could."""
    form: str
    """Into what PReLU is rewritten."""
    precision: str
    """`f32` or `bf16`."""
    provider: str
    """`cuda`, `openvino` or `cpu`."""
    requests_per_second: float | None
    """Test faces that went through the whole pipeline each second; null where it did not run."""
    score_difference: float | None
    """Its quality score of the test face less theirs."""
    sessions: int
    """Pictures that are analysed at once."""
    threads: int
    """Threads of each session."""


class Cause(TypedDict):
    """Documents [`Cause`], which goes out as it is."""

    name: str
    """noise, blur, motion_blur, low_resolution, compression, underexposure, overexposure, screen_recapture,
    occlusion, mask, pose or unknown."""
    weight: float
    """Its share of what is missing to a good score; all weights of a face sum to at most 1."""


class ChosenBy(TypedDict):
    """What was measured to choose how the models run."""

    candidates: list[Candidate]
    """Every way that was tried."""
    cores: int
    """Cores that the daemon may use."""
    features: list[str]
    """Those of its instructions that models are fast with."""
    measured_at: str
    """When."""
    processor: str
    """Name of the processor."""


class Comparison(TypedDict):
    """The answer on a pair of faces."""

    hints: list[SideHint]
    """Advice for the person in front of the camera."""
    model: Model
    """What answered."""
    probe: ComparedSide
    """The sample being questioned."""
    reference: ComparedSide
    """The sample it is compared with."""
    request_id: str
    """Under which the log has this request."""
    similarity: float
    """Cosine of the two embeddings, −1…1."""
    thresholds: Thresholds
    """The cuts on the similarity."""
    timings_ms: Timings
    """Where the time went, both sides together; `total` is the time that passed, as both are analysed at once."""
    verdict: str
    """`untrusted` where a side is rejected, whatever the similarity; else `different`, `review` or `same`."""


class Decision(TypedDict):
    """What the scenario's policy makes of a face."""

    action: str
    """`accept`, `review` or `reject`."""
    reasons: list[str]
    """What decided, where the action is not accept: `quality`, `face_too_small`, `several_faces`."""
    scenario: str
    """The scenario that decided."""
    threshold: float
    """The policy's accept cut on the quality score."""


class Extraction(TypedDict):
    """The answer on one picture."""

    faces: list[Face]
    """Faces, largest first."""
    faces_found: int
    """How many faces were found: where only the largest is asked for, as far as the search saw others on its
    way."""
    faces_omitted: int
    """How many of the faces asked for are left out, because a picture may have no more than `limits.max_faces` of
    `/v1/info`."""
    hints: list[Hint]
    """Advice for the person in front of the camera."""
    image: Image
    """The picture."""
    model: Model
    """What answered."""
    request_id: str
    """Under which the log has this request."""
    timings_ms: Timings
    """Where the time went."""


class Face(TypedDict):
    """One face of a picture."""

    box: Box
    """Around the face."""
    decision: Decision
    """What the scenario makes of it."""
    detection_score: float
    """The detector's confidence that this is a face, 0–1. Not a quality, not a similarity."""
    embedding: NotRequired[list[float]]
    """512 numbers of unit length, where they are asked for."""
    embedding_norm: float
    """Length before normalisation, as the pack defines it: about 1 for clean faces with the default pack, less for
    worse."""
    landmarks: list[list[float]]
    """Eyes, nose, mouth corners, image left to right: x and y in pixels."""
    pose: Pose
    """Rotation of the head."""
    quality: Quality
    """How far it can be trusted."""


class Feedback(TypedDict):
    """What stands in the log now."""

    note: str | None
    """The words that came with it."""
    outcome: Outcome
    """How it turned out."""
    request_id: str
    """The request that it is about."""
    time: str
    """Since when this stands in the log, RFC 3339."""


class GivenQuality(TypedDict):
    """A quality score that a caller kept with an embedding."""

    grade: str
    """The score in a word."""
    score: float
    """As it was given."""


class GivenSide(TypedDict):
    """A side that was given as an embedding."""

    decision: Decision
    """What the scenario makes of it."""
    embedding: NotRequired[list[float]]
    """512 numbers of unit length, where they are asked for."""
    quality: GivenQuality | None


class Health(TypedDict):
    """How the service is."""

    status: str
    """`alive` or `ready`."""
    warnings: NotRequired[list[str]]
    """What an operator should see to although requests are served."""


class Hint(TypedDict):
    """Advice for the person in front of the camera."""

    code: str
    """`no_face`, `image_too_small`, `move_closer`, `more_light`, `less_light`, `hold_still`, `face_camera`,
    `uncover_face`, `several_faces` or `avoid_screen`."""
    message: str
    """The advice in English, or in Chinese for `Accept-Language: zh`."""


class Image(TypedDict):
    """The picture as it was understood: upright, type by content."""

    format: str
    """`jpeg`, `png`, `webp`, `bmp` or `tiff`."""
    height: int
    """Upright height in pixels."""
    width: int
    """Upright width in pixels."""


class Inferences(TypedDict):
    """A page of the log."""

    inferences: list[dict[str, Any]]
    """Rows, newest first: each column of the table `inferences` but embeddings and thumbnails."""
    next_cursor: str | None
    """The value of `cursor` for the next page; null on the last."""


class Info(TypedDict):
    """What runs here, by which rules, within which limits."""

    calibration_id: str
    """Which calibration turns logits into scores."""
    default_scenario: str
    """The scenario that decides where a request names none."""
    limits: Limits
    """What is refused."""
    name: str
    """Always `faceood`."""
    node: str
    """The name of this box among others, as in the header `X-Faceood-Node`."""
    pack: Pack
    """The models."""
    policies: dict[str, Policy]
    """Rules by scenario."""
    privacy: Privacy
    """What is stored."""
    provider: Provider
    """Where they run."""
    report: str | None
    """Where the newest report on what was answered is to be read; null where none has been written."""
    thresholds: Thresholds
    """Cuts on the similarity of two embeddings."""
    tls: Tls | None
    version: str
    """Release of the daemon."""


class Limits(TypedDict):
    """What is refused."""

    deadline_ms: int
    """Most milliseconds from the end of an upload to the answer."""
    formats: list[str]
    """Types that are read."""
    image_bytes: int
    """Largest picture in bytes."""
    image_pixels: int
    """Largest picture in pixels."""
    max_faces: int
    """Most faces of a picture that are analysed where all are asked for; the largest come first."""
    queue: int
    """Pictures that may wait for a worker before requests are refused."""


class Model(TypedDict):
    """What answered."""

    pack: str
    """Name of the model pack."""
    provider: str
    """Where it runs: `cuda`, `openvino` or `cpu`."""
    sha256: str
    """Its SHA-256: embeddings of packs that differ in it must not be compared."""
    version: str
    """Its version."""


class NewToken(TypedDict):
    """A token to be made."""

    expires: NotRequired[str | None]
    """When it stops being valid, RFC 3339; without it, never."""
    name: str
    """Name in the log and in metrics: 1–64 of `[A-Za-z0-9._:-]`."""
    role: str
    """`terminal`, `operator`, `metrics` or `admin`."""
    sources: NotRequired[list[str]]
    """The only sources for which a terminal may ask; without them it may ask for all."""


class Pack(TypedDict):
    """The loaded model pack."""

    licence: str
    """Under which its files may be used."""
    name: str
    """Its name."""
    sha256: str
    """Its SHA-256."""
    version: str
    """Its version."""


class Policy(TypedDict):
    """The rules of a scenario."""

    accept: float
    """At or above this quality score: accept."""
    min_face_px: int
    """A face whose shorter side is under this is rejected."""
    review: float
    """At or above this quality score: review; below it: reject."""
    single_face: bool
    """Whether a picture with several faces is rejected."""


class Pose(TypedDict):
    """Rotation of the head in degrees; 0 is a frontal, upright head."""

    pitch: float
    """Nod; positive: the nose points up."""
    roll: float
    """Tilt; positive: clockwise on the screen."""
    yaw: float
    """Turn; positive: the nose points to the image's right."""


class Privacy(TypedDict):
    """What is stored of pictures and faces besides numbers about them."""

    keeps_embeddings: bool
    """Whether embeddings are kept in the log."""
    keeps_thumbnails: bool
    """Whether small pictures of faces are kept in the log."""


class Problem(TypedDict):
    """An RFC 9457 problem."""

    detail: str
    """What was got, what was expected, what to do."""
    part: NotRequired[Part | None]
    request_id: str
    """Under which the log has more."""
    status: int
    """The HTTP status again."""
    title: str
    """A short summary, the same for every occurrence."""
    type: Literal["urn:faceood:problem:malformed_request", "urn:faceood:problem:unknown_scenario", "urn:faceood:problem:invalid_parameter", "urn:faceood:problem:unauthenticated", "urn:faceood:problem:forbidden", "urn:faceood:problem:not_found", "urn:faceood:problem:method_not_allowed", "urn:faceood:problem:model_mismatch", "urn:faceood:problem:image_too_large", "urn:faceood:problem:unsupported_media_type", "urn:faceood:problem:undecodable_image", "urn:faceood:problem:no_face", "urn:faceood:problem:rate_limited", "urn:faceood:problem:internal", "urn:faceood:problem:overloaded", "urn:faceood:problem:deadline_exceeded", "urn:faceood:problem:not_ready"]
    """`urn:faceood:problem:` and the code."""


class Provider(TypedDict):
    """Where the models run."""

    chosen_by: ChosenBy | None
    form: str
    """Into what PReLU is rewritten: `convolutions`, `minimum`, or `published` where it stays."""
    name: str
    """`cuda`, `openvino` or `cpu`: the one that really runs, not the one that was asked for."""
    precision: str
    """`f32` or `bf16`."""
    reason: str
    """Why it is this one."""
    sessions: int
    """Pictures that are analysed at once, each with sessions of its own."""
    threads: int
    """Threads of the embedder's session."""


class Quality(TypedDict):
    """How far a face can be trusted."""

    causes: list[Cause]
    """What pulls the score down, largest weight first."""
    components: dict[str, float | None]
    """What was measured; null where it could not be assessed."""
    grade: str
    """The score in a word: excellent from .80, good from .60, fair from .40, poor from .30, else bad."""
    interval: list[float]
    """Where another shot of the same scene would score 9 times in 10."""
    pass_probability: float
    """Calibrated probability that this capture reaches a similarity of 0.45 against a good reference."""
    score: float
    """The similarity that this capture is expected to reach against a good reference, on a fixed 0–1 curve."""


class Thresholds(TypedDict):
    """Cuts on the similarity; at a cut counts as above."""

    different: float
    """Below this `different`; between the two `review`."""
    same: float
    """From here on `same`, unless a side's action is review."""


class Timings(TypedDict):
    """Milliseconds in each stage. `total` counts waiting and everything in between too."""

    align: float
    """Landmarks, pose and warp."""
    decode: float
    """Bytes → pixels."""
    detect: float
    """Finding faces."""
    embed: float
    """Embedding, norm and OOD logit."""
    judge: float
    """Components, score, causes, decision."""
    queue: float
    """Waiting for a worker."""
    total: float
    """From the picture's arrival to the answer."""


class Tls(TypedDict):
    """How addresses off loopback speak TLS."""

    authority: str | None
    """Where the certificate of the box's own authority is to be had; null where a certificate was configured."""
    authority_sha256: str | None
    """SHA-256 fingerprint of that authority."""
    certificate_ends: str
    """When the certificate ends."""
    certificate_sha256: str
    """SHA-256 fingerprint of the certificate."""
    client_auth: str
    """Whether clients show a certificate: `off`, `optional` or `required`."""


class Token(TypedDict):
    """One token, without its secret."""

    created: str
    """When it was added."""
    expires: NotRequired[str | None]
    """When it stops being valid."""
    last_address: NotRequired[str | None]
    """From where that one came."""
    last_use: NotRequired[str | None]
    """The last of them."""
    name: str
    """Stands in rows, log lines and metrics."""
    previous_until: NotRequired[str | None]
    """Until when the secret before the last rotation is valid."""
    role: str
    """What it is for."""
    sources: list[str]
    """The only sources for which it may ask; empty: all."""
    state: str
    """Whether it opens anything: `valid`, `expired` or `revoked`."""
    uses: int
    """Requests that it has allowed, as far as the log knows."""


class TokenList(TypedDict):
    """All tokens."""

    tokens: list[Token]
    """In the order in which they were added."""


class TokenRotation(TypedDict):
    """How the secret of a token is replaced."""

    keep_old_seconds: NotRequired[int]
    """How long the old secret stays valid, in seconds."""


class TokenSecret(TypedDict):
    """A token with its secret, which is shown this once."""

    name: str
    previous_until: NotRequired[str | None]
    """Until when the former secret is valid too."""
    token: str
    """What the caller sends as `Authorization: Bearer` or `X-API-Key`."""


class SideHint(Hint):
    """Advice, and the side that it is for."""

    part: Part
    """The side."""


ComparedSide: TypeAlias = Face | GivenSide


Outcome: TypeAlias = Literal["genuine", "impostor", "unusable"]


Part: TypeAlias = Literal["probe", "reference"]
