// @ts-check
/**
 * Client of a faceood service: `fetch` and nothing else, for browsers, Deno, and Node 20 or newer. The service's own page uses it.
 * Only `ca` and `certificate` need a second file, `node-tls.js`.
 *
 * A request that the service cannot take right now (429, 503, no connection) is sent again, after as long as `Retry-After`
 * asks for. Every other failure is a {@link FaceoodError}, told apart by its `code`.
 */

/** @typedef {import("./openapi.js").components["schemas"]} Schemas */
/** @typedef {Schemas["Extraction"]} Extraction */
/** @typedef {Schemas["Comparison"]} Comparison */
/** @typedef {Schemas["Face"]} Face */
/** @typedef {Schemas["Info"]} Info */
/** @typedef {Schemas["Health"]} Health */
/** @typedef {Blob | ArrayBuffer | Uint8Array<ArrayBuffer>} Picture A picture as the bytes of its file. */
/**
 * @typedef {object} Embedded A side of a comparison of which only the embedding was kept.
 * @property {readonly number[]} embedding 512 numbers of unit length
 * @property {string} [modelSha256] the pack that it comes from: another one is refused
 * @property {number} [qualityScore] the score that its picture had
 */
/**
 * @typedef {object} Options What a client is made with.
 * @property {string} [baseUrl] where the service is; default `http://127.0.0.1:7860`
 * @property {string} [token] sent as `Authorization: Bearer`; a page of the service itself needs none after its sign-in
 * @property {string} [ca] in Node: the authority that signed the service's certificate, the text of a PEM file; instead of those that
 *   Node trusts
 * @property {string} [certificate] in Node: a client certificate, the text of a PEM file
 * @property {string} [key] in Node: its key, likewise, where that does not stand in `certificate`
 * @property {RequestCredentials} [credentials] whether a browser sends its cookies: `include` also to another origin, `omit`
 *   never; default `same-origin`
 * @property {string} [source] this terminal or camera, 1–64 of `[A-Za-z0-9._:-]`, where a call names none
 * @property {string} [language] language of the hints: `en` or `zh`
 * @property {number} [timeoutMs] longest wait for one answer; default 30 000
 * @property {number} [retries] further tries of what can be tried again; default 3
 * @property {typeof globalThis.fetch} [fetch] in place of the global one
 */
/**
 * @typedef {object} Ask What a call may ask for.
 * @property {string} [scenario] the policy that decides; default `access`
 * @property {string} [source] this terminal or camera
 * @property {boolean} [embedding] whether the answer has embeddings
 * @property {AbortSignal} [signal] gives the call up
 */
/** @typedef {Ask & {faces?: "largest" | "all"}} AskFaces */
/**
 * @typedef {object} Filter Which rows of the log.
 * @property {string} [since] RFC 3339, included
 * @property {string} [until] RFC 3339, not included
 * @property {string} [source] one terminal or camera
 * @property {number} [max_score] this quality score or lower
 * @property {number} [limit] rows in one page
 * @property {string} [cursor] where the page before ended
 */

const FIRST_PAUSE_MS = 250;
/** Nobody waits longer than this for one more try, whatever the service asks for. */
const LONGEST_PAUSE_MS = 30_000;

/** @typedef {Pick<Options, "ca" | "certificate" | "key">} Tls */

/** What a service said instead of an answer, or that it said nothing. */
export class FaceoodError extends Error {
  /**
   * @param {string} code
   * @param {string} detail
   * @param {{status?: number, title?: string, requestId?: string, part?: string, retryAfterMs?: number, cause?: unknown}} [more]
   */
  constructor(code, detail, more = {}) {
    super(detail, { cause: more.cause });
    this.name = "FaceoodError";
    /** The problem's code, as in `urn:faceood:problem:CODE`; `unreachable`, `timeout` or `tls` where there was no answer. */
    this.code = code;
    /** The HTTP status; 0 where there was no answer. */
    this.status = more.status ?? 0;
    /** A short summary, the same for every occurrence. */
    this.title = more.title ?? detail;
    /** Under which the service's log has the request. */
    this.requestId = more.requestId;
    /** `probe` or `reference`, where one side of a comparison is at fault. */
    this.part = more.part;
    /** How long the service asks to wait. */
    this.retryAfterMs = more.retryAfterMs;
  }

  /** Whether the same call may succeed later. */
  get isTemporary() {
    return ["unreachable", "timeout", "rate_limited", "overloaded", "deadline_exceeded", "not_ready"].includes(this.code)
      // Whatever the body says: a load balancer before the service answers with a page of its own.
      || this.status === 429 || this.status === 503;
  }
}

/** Talks to one service. */
export class Faceood {
  #base;
  /** @type {Record<string, string>} */
  #headers = {};
  #credentials;
  #source;
  #timeoutMs;
  #retries;
  #tls;
  #fetch;

  /** @param {Options} [options] */
  constructor(options = {}) {
    const base = options.baseUrl ?? "http://127.0.0.1:7860";
    this.#base = base.endsWith("/") ? base : `${base}/`;
    const token = options.token?.trim();
    if (token) this.#headers.Authorization = `Bearer ${valid(token)}`;
    this.#credentials = options.credentials;
    if (options.language) this.#headers["Accept-Language"] = options.language;
    this.#source = options.source;
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#retries = options.retries ?? 3;
    this.#tls = { ca: text(options.ca), certificate: text(options.certificate), key: text(options.key) };
    this.#fetch = overTls(this.#base, this.#tls, options.fetch) ?? options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  }

  /**
   * The faces of a picture, with embedding, quality and decision.
   * @param {Picture} picture
   * @param {AskFaces} [ask]
   * @returns {Promise<Extraction>}
   */
  extract(picture, ask = {}) {
    return this.#post("v1/extract", form({ image: picture }), ask);
  }

  /**
   * The check before a picture is taken: as {@link extract}, without embeddings, and no face is no error.
   * @param {Picture} picture
   * @param {AskFaces} [ask]
   * @returns {Promise<Extraction>}
   */
  quality(picture, ask = {}) {
    return this.#post("v1/quality", form({ image: picture }), ask);
  }

  /**
   * Whether two faces are one person's, and whether that can be said at all.
   * @param {Picture | Embedded} probe
   * @param {Picture | Embedded} reference
   * @param {Ask} [ask]
   * @returns {Promise<Comparison>}
   */
  async compare(probe, reference, ask = {}) {
    const body = isEmbedded(probe) || isEmbedded(reference)
      ? JSON.stringify({ probe: await side(probe), reference: await side(reference) })
      : form({ probe, reference });
    return this.#post("v1/compare", body, ask);
  }

  /**
   * What runs there, by which rules, within which limits.
   * @param {{signal?: AbortSignal}} [ask]
   * @returns {Promise<Info>}
   */
  info(ask = {}) {
    return this.#send("v1/info", { method: "GET" }, ask.signal);
  }

  /**
   * Whether requests are served: fails with `not_ready`, whose message says why, where they are not. Never tried again.
   * @param {{signal?: AbortSignal}} [ask]
   * @returns {Promise<Health>}
   */
  ready(ask = {}) {
    return this.#once("readyz", { method: "GET" }, ask.signal);
  }

  /**
   * One page of the log, newest first.
   * @param {Filter & {signal?: AbortSignal}} [filter]
   * @returns {Promise<Schemas["Inferences"]>}
   */
  inferences({ signal, ...filter } = {}) {
    return this.#send(`v1/inferences${query(filter)}`, { method: "GET" }, signal);
  }

  /**
   * Tells the service what was true of an earlier request.
   * @param {Schemas["FeedbackRequest"]} feedback
   * @param {{signal?: AbortSignal}} [ask]
   * @returns {Promise<Schemas["Feedback"]>}
   */
  feedback(feedback, ask = {}) {
    const headers = { "Content-Type": "application/json" };
    return this.#send("v1/feedback", { method: "POST", headers, body: JSON.stringify(feedback) }, ask.signal);
  }

  /**
   * @param {string} path
   * @param {FormData | string} body
   * @param {AskFaces} ask
   * @returns {Promise<any>}
   */
  #post(path, body, { signal, ...ask }) {
    /** @type {Record<string, string>} */
    const headers = typeof body === "string" ? { "Content-Type": "application/json" } : {};
    return this.#send(path + query({ source: this.#source, ...ask }), { method: "POST", headers, body }, signal);
  }

  /**
   * @param {string} path
   * @param {RequestInit} init
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async #send(path, init, signal) {
    for (let tried = 0; ; tried++) {
      try {
        return await this.#once(path, init, signal);
      } catch (error) {
        if (!(error instanceof FaceoodError && error.isTemporary) || tried >= this.#retries) throw error;
        // Some limits last for minutes. To ask earlier would only be refused again.
        if (error.status === 429 && (error.retryAfterMs ?? 0) > LONGEST_PAUSE_MS) throw error;
        // Doubling, so that many terminals do not keep a service down that is just coming back.
        const pause = Math.max(error.retryAfterMs ?? 0, FIRST_PAUSE_MS * 2 ** tried);
        await sleep(Math.min(pause, LONGEST_PAUSE_MS), signal);
      }
    }
  }

  /**
   * @param {string} path
   * @param {RequestInit} init
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async #once(path, init, signal) {
    const timeout = AbortSignal.timeout(this.#timeoutMs);
    const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
    const headers = { ...this.#headers, ...init.headers };
    let response, text;
    try {
      const credentials = this.#credentials && { credentials: this.#credentials };
      response = await this.#fetch(this.#base + path, { ...init, ...credentials, headers, signal: either });
      text = await response.text();
    } catch (cause) {
      signal?.throwIfAborted();
      if (timeout.aborted) {
        throw new FaceoodError("timeout", `The service at ${this.#base} did not answer within ${this.#timeoutMs} ms.`, { cause });
      }
      if (cause instanceof FaceoodError) throw cause;
      const detail = tlsDetail(cause, this.#base, this.#tls);
      if (detail) throw new FaceoodError("tls", detail, { cause });
      const more = cutOff(cause, this.#base, this.#tls);
      throw new FaceoodError("unreachable", `The service at ${this.#base} cannot be reached: is it running?${more}`, { cause });
    }
    const body = parsed(text);
    if (response.ok && body !== undefined) return body;
    throw problem(response, body ?? {}, "Authorization" in this.#headers, Boolean(this.#tls.certificate));
  }
}

/**
 * The token, if it can be sent. No message repeats it.
 * @param {string} token
 */
function valid(token) {
  if (/^[!-~]+$/.test(token)) return token;
  throw new FaceoodError("unauthenticated",
    "The token holds spaces or characters that no token has: give only the text that begins with fod_.");
}

/**
 * The text of what may be a Buffer, which `readFile` gives to whoever names no encoding.
 * @param {string | undefined} given
 */
function text(given) {
  return given === undefined ? undefined : String(given);
}

/**
 * A `fetch` that does what `ca`, `certificate` and `key` ask for; undefined where none was given.
 * @param {string} base
 * @param {Tls} tls
 * @param {Options["fetch"]} given
 * @returns {Options["fetch"]}
 */
function overTls(base, tls, given) {
  const [name] = Object.entries(tls).find(([, text]) => text !== undefined) ?? [];
  if (!name) return undefined;
  const { process } = /** @type {{process?: {versions?: {node?: string}}}} */ (globalThis);
  if (!process?.versions?.node) {
    throw new FaceoodError("tls", `\`${name}\` was given, but it works in Node alone: a browser itself decides whom it trusts and which `
      + `certificate it shows. Import the file into the browser or its system, and leave \`${name}\` out.`);
  }
  if (given) {
    throw new FaceoodError("tls", `\`${name}\` was given together with \`fetch\`, which decides about its connections itself: leave one out.`);
  }
  if (!base.startsWith("https:")) {
    throw new FaceoodError("tls", `\`${name}\` was given, but ${base} is not encrypted: use https:, or leave \`${name}\` out.`);
  }
  /** @type {Promise<(url: string, init: RequestInit) => Promise<Response>> | undefined} */
  let made;
  return async (url, init) => {
    made ??= import("./node-tls.js").then(({ fetchOver }) => fetchOver(tls, howToGetCa(base)));
    const fetch = await made.catch((cause) => {
      throw new FaceoodError("tls", cause.message, { cause });
    });
    return fetch(String(url), init ?? {});
  };
}

/**
 * How to get the text that belongs into `ca`.
 * @param {string} base
 */
function howToGetCa(base) {
  return `fetch the service's authority with \`curl --insecure -o ca.pem ${new URL("/ca.pem", base)}\`, compare the fingerprint that `
    + "`openssl x509 -in ca.pem -noout -fingerprint -sha256` prints with that of `faceood-admin tls show` on the service's machine, "
    + "and give the file's text as `ca`.";
}

/** @param {unknown} error What `fetch` threw. */
function codeOf(error) {
  const { cause } = /** @type {{cause?: {code?: unknown}}} */ (error ?? {});
  return String(cause?.code);
}

/**
 * Which part of an encrypted connection is wrong, as Node tells it; browsers and Deno do not tell.
 * @param {unknown} error
 * @param {string} base
 * @param {Tls} tls
 * @returns {string | undefined}
 */
function tlsDetail(error, base, tls) {
  const code = codeOf(error);
  const its = `The certificate of the service at ${base}`;
  if (code === "CERT_HAS_EXPIRED") {
    return `${its} has expired: renew it there with \`faceood-admin tls renew\`; if it has not expired, the clock of this machine is wrong.`;
  }
  if (code === "CERT_NOT_YET_VALID") {
    return `${its} is not valid yet: compare the clock of this machine with that of the service.`;
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    const host = new URL(base).hostname;
    return `${its} is not for ${host}: use a name or an address that \`faceood-admin tls show\` lists on the service's machine, or let `
      + `\`faceood-admin tls renew\` add ${host}.`;
  }
  if (/SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)|CERT_SIGNATURE_FAILURE/.test(code)) {
    const whom = tls.ca === undefined ? "an authority that this system trusts" : "the authority in `ca`";
    return `${its} is not signed by ${whom} (${code}): ${howToGetCa(base)}`;
  }
  if (/^(CERT_|ERROR_IN_CERT|INVALID_(CA|PURPOSE)|UNABLE_TO_)/.test(code)) return `${its} is not accepted: ${code}.`;
  if (/WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG/.test(code)) {
    return `The service at ${base} does not speak TLS: use http: in its address, or turn TLS on there.`;
  }
  if (code.startsWith("HPE_")) return `What ${base} answers is not HTTP: if it speaks TLS, use https: in its address.`;
  // What OpenSSL calls the alerts that the service sent.
  if (!/^ERR_SSL_.*ALERT/.test(code)) return undefined;
  if (tls.certificate !== undefined) {
    return `The service at ${base} refuses the client certificate in \`certificate\` (${code}): give one that has not expired and that its `
      + "`client_ca` has signed.";
  }
  return /CERTIFICATE_REQUIRED|HANDSHAKE_FAILURE/.test(code)
    ? `The service at ${base} wants a client certificate (${code}): give one that its authority has signed as \`certificate\`, and its key as \`key\`.`
    : `The service at ${base} refuses the encrypted connection (${code}): its log says why.`;
}

/**
 * What may be behind a connection that was cut off: a service that refuses it may close it before its reason has been read.
 * @param {unknown} error
 * @param {string} base
 * @param {Tls} tls
 */
function cutOff(error, base, tls) {
  if (!/^(ECONNRESET|EPIPE|UND_ERR_SOCKET)$/.test(codeOf(error))) return "";
  if (!base.startsWith("https:")) return " If it speaks TLS, its address begins with https:.";
  return tls.certificate === undefined
    ? " If it wants a client certificate, give `certificate` and `key`."
    : " If its log says that it refuses the client certificate, give another one as `certificate`.";
}

/**
 * What to do about a refusal that only the caller can explain in full.
 * @param {number} status
 * @param {boolean} hasToken
 * @param {boolean} hasCertificate
 */
function advice(status, hasToken, hasCertificate) {
  // The page of the service sends neither, and says by itself what to do.
  if (status === 403 && (hasToken || hasCertificate)) {
    return "The token's role or its sources do not permit this: `faceood-admin token list` on the service's machine shows both.";
  }
  if (status !== 401) return "";
  if (hasToken) {
    return "The token that was sent is wrong, has expired or was revoked: `faceood-admin token list` on the service's machine says which are valid.";
  }
  const why = hasCertificate ? ", and the common name of the client certificate is not the name of one" : "";
  return `No token was sent${why}: give it as \`token\`. \`faceood-admin token add NAME --role terminal\` makes one on the service's machine.`;
}

/**
 * @param {string} text
 * @returns {any} undefined where it is no JSON
 */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * @param {Response} response
 * @param {Partial<Schemas["Problem"]>} body
 * @param {boolean} hasToken
 * @param {boolean} hasCertificate
 */
function problem(response, body, hasToken, hasCertificate) {
  const code = body.type?.split(":").at(-1) ?? "internal";
  const said = body.detail ?? `The service answered with status ${response.status} and no explanation.`;
  const more = advice(response.status, hasToken, hasCertificate);
  const detail = more ? `${said.replace(/\.$/, "")}. ${more}` : said;
  const seconds = Number(response.headers.get("Retry-After") ?? NaN);
  return new FaceoodError(code, detail, {
    status: response.status,
    title: body.title,
    requestId: body.request_id ?? response.headers.get("X-Request-Id") ?? undefined,
    part: body.part ?? undefined,
    retryAfterMs: Number.isFinite(seconds) ? seconds * 1000 : undefined,
  });
}

/** @param {Record<string, string | number | boolean | undefined>} parameters */
function query(parameters) {
  const set = Object.entries(parameters).filter(([, value]) => value !== undefined);
  const text = new URLSearchParams(set.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}

/** @param {Record<string, Picture>} parts */
function form(parts) {
  const made = new FormData();
  for (const [name, picture] of Object.entries(parts)) {
    made.append(name, picture instanceof Blob ? picture : new Blob([picture]));
  }
  return made;
}

/**
 * @param {Picture | Embedded} either
 * @returns {either is Embedded}
 */
function isEmbedded(either) {
  return "embedding" in either;
}

/** @param {Picture | Embedded} either */
async function side(either) {
  if (isEmbedded(either)) {
    return { embedding: either.embedding, model_sha256: either.modelSha256, quality_score: either.qualityScore };
  }
  const bytes = new Uint8Array(await new Blob([either]).arrayBuffer());
  let binary = "";
  // In pieces, since a call takes only so many arguments.
  for (let at = 0; at < bytes.length; at += 0x8000) binary += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  return { image: btoa(binary) };
}

/**
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function sleep(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
