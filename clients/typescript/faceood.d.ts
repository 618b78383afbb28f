/** @typedef {Pick<Options, "ca" | "certificate" | "key">} Tls */
/** What a service said instead of an answer, or that it said nothing. */
export class FaceoodError extends Error {
    /**
     * @param {string} code
     * @param {string} detail
     * @param {{status?: number, title?: string, requestId?: string, part?: string, retryAfterMs?: number, cause?: unknown}} [more]
     */
    constructor(code: string, detail: string, more?: {
        status?: number;
        title?: string;
        requestId?: string;
        part?: string;
        retryAfterMs?: number;
        cause?: unknown;
    });
    /** The problem's code, as in `urn:faceood:problem:CODE`; `unreachable`, `timeout` or `tls` where there was no answer. */
    code: string;
    /** The HTTP status; 0 where there was no answer. */
    status: number;
    /** A short summary, the same for every occurrence. */
    title: string;
    /** Under which the service's log has the request. */
    requestId: string | undefined;
    /** `probe` or `reference`, where one side of a comparison is at fault. */
    part: string | undefined;
    /** How long the service asks to wait. */
    retryAfterMs: number | undefined;
    /** Whether the same call may succeed later. */
    get isTemporary(): boolean;
}
/** Talks to one service. */
export class Faceood {
    /** @param {Options} [options] */
    constructor(options?: Options);
    /**
     * The faces of a picture, with embedding, quality and decision.
     * @param {Picture} picture
     * @param {AskFaces} [ask]
     * @returns {Promise<Extraction>}
     */
    extract(picture: Picture, ask?: AskFaces): Promise<Extraction>;
    /**
     * The check before a picture is taken: as {@link extract}, without embeddings, and no face is no error.
     * @param {Picture} picture
     * @param {AskFaces} [ask]
     * @returns {Promise<Extraction>}
     */
    quality(picture: Picture, ask?: AskFaces): Promise<Extraction>;
    /**
     * Whether two faces are one person's, and whether that can be said at all.
     * @param {Picture | Embedded} probe
     * @param {Picture | Embedded} reference
     * @param {Ask} [ask]
     * @returns {Promise<Comparison>}
     */
    compare(probe: Picture | Embedded, reference: Picture | Embedded, ask?: Ask): Promise<Comparison>;
    /**
     * What runs there, by which rules, within which limits.
     * @param {{signal?: AbortSignal}} [ask]
     * @returns {Promise<Info>}
     */
    info(ask?: {
        signal?: AbortSignal;
    }): Promise<Info>;
    /**
     * Whether requests are served: fails with `not_ready`, whose message says why, where they are not. Never tried again.
     * @param {{signal?: AbortSignal}} [ask]
     * @returns {Promise<Health>}
     */
    ready(ask?: {
        signal?: AbortSignal;
    }): Promise<Health>;
    /**
     * One page of the log, newest first.
     * @param {Filter & {signal?: AbortSignal}} [filter]
     * @returns {Promise<Schemas["Inferences"]>}
     */
    inferences({ signal, ...filter }?: Filter & {
        signal?: AbortSignal;
    }): Promise<Schemas["Inferences"]>;
    /**
     * Tells the service what was true of an earlier request.
     * @param {Schemas["FeedbackRequest"]} feedback
     * @param {{signal?: AbortSignal}} [ask]
     * @returns {Promise<Schemas["Feedback"]>}
     */
    feedback(feedback: Schemas["FeedbackRequest"], ask?: {
        signal?: AbortSignal;
    }): Promise<Schemas["Feedback"]>;
    #private;
}
export type Schemas = import("./openapi.js").components["schemas"];
export type Extraction = Schemas["Extraction"];
export type Comparison = Schemas["Comparison"];
export type Face = Schemas["Face"];
export type Info = Schemas["Info"];
export type Health = Schemas["Health"];
/**
 * A picture as the bytes of its file.
 */
export type Picture = Blob | ArrayBuffer | Uint8Array<ArrayBuffer>;
/**
 * A side of a comparison of which only the embedding was kept.
 */
export type Embedded = {
    /**
     * 512 numbers of unit length
     */
    embedding: readonly number[];
    /**
     * the pack that it comes from: another one is refused
     */
    modelSha256?: string | undefined;
    /**
     * the score that its picture had
     */
    qualityScore?: number | undefined;
};
/**
 * What a client is made with.
 */
export type Options = {
    /**
     * where the service is; default `http://127.0.0.1:7860`
     */
    baseUrl?: string | undefined;
    /**
     * sent as `Authorization: Bearer`; a page of the service itself needs none after its sign-in
     */
    token?: string | undefined;
    /**
     * in Node: the authority that signed the service's certificate, the text of a PEM file; instead of those that
     * Node trusts
     */
    ca?: string | undefined;
    /**
     * in Node: a client certificate, the text of a PEM file
     */
    certificate?: string | undefined;
    /**
     * in Node: its key, likewise, where that does not stand in `certificate`
     */
    key?: string | undefined;
    /**
     * whether a browser sends its cookies: `include` also to another origin, `omit`
     * never; default `same-origin`
     */
    credentials?: RequestCredentials | undefined;
    /**
     * this terminal or camera, 1–64 of `[A-Za-z0-9._:-]`, where a call names none
     */
    source?: string | undefined;
    /**
     * language of the hints: `en` or `zh`
     */
    language?: string | undefined;
    /**
     * longest wait for one answer; default 30 000
     */
    timeoutMs?: number | undefined;
    /**
     * further tries of what can be tried again; default 3
     */
    retries?: number | undefined;
    /**
     * in place of the global one
     */
    fetch?: typeof fetch | undefined;
};
/**
 * What a call may ask for.
 */
export type Ask = {
    /**
     * the policy that decides; default `access`
     */
    scenario?: string | undefined;
    /**
     * this terminal or camera
     */
    source?: string | undefined;
    /**
     * whether the answer has embeddings
     */
    embedding?: boolean | undefined;
    /**
     * gives the call up
     */
    signal?: AbortSignal | undefined;
};
export type AskFaces = Ask & {
    faces?: "largest" | "all";
};
/**
 * Which rows of the log.
 */
export type Filter = {
    /**
     * RFC 3339, included
     */
    since?: string | undefined;
    /**
     * RFC 3339, not included
     */
    until?: string | undefined;
    /**
     * one terminal or camera
     */
    source?: string | undefined;
    /**
     * this quality score or lower
     */
    max_score?: number | undefined;
    /**
     * rows in one page
     */
    limit?: number | undefined;
    /**
     * where the page before ended
     */
    cursor?: string | undefined;
};
export type Tls = Pick<Options, "ca" | "certificate" | "key">;
