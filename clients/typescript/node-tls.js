// @ts-check
/**
 * `fetch` over `node:https`, for a client that is given an authority or a certificate of its own. Node's own `fetch` takes neither.
 * Only `faceood.js` imports this, and only in Node.
 */

import { X509Certificate } from "node:crypto";
import { Agent, request as send } from "node:https";
import { Readable } from "node:stream";
import { createSecureContext } from "node:tls";

/**
 * @typedef {object} Tls PEM texts.
 * @property {string} [ca]
 * @property {string} [certificate]
 * @property {string} [key]
 */

const CERTIFICATE_MARK = "-----BEGIN CERTIFICATE-----";
const CERTIFICATES = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g;
/** How long a connection without a request is kept, as by Node's own `fetch`: longer, and the service may be closing it. */
const IDLE_MS = 4_000;

/**
 * A `fetch` that trusts `ca` alone, if it is given, and shows the certificate, if it is given. It follows no redirection.
 * @param {Tls} tls
 * @param {string} howToGetCa what to do where `ca` is wrong
 * @returns {(url: string, init: RequestInit) => Promise<Response>}
 * @throws {Error} whose message says which text is wrong
 */
export function fetchOver(tls, howToGetCa) {
  check(tls, howToGetCa);
  const { ca, certificate: cert } = tls;
  const agent = new Agent({ ca, cert, key: cert && (tls.key ?? cert), keepAlive: true, timeout: IDLE_MS });
  return async (url, init) => {
    // Writes a form out, and says so in the headers.
    const written = new Request(url, { method: init.method, headers: init.headers, body: init.body });
    const body = new Uint8Array(await written.arrayBuffer());
    const headers = Object.fromEntries(written.headers);
    const answer = await new Promise((resolve, reject) => {
      const sent = send(url, { agent, method: init.method, headers, signal: init.signal ?? undefined }, resolve);
      // As Node's own `fetch` tells it.
      sent.on("error", (cause) => reject(new TypeError("fetch failed", { cause: withReason(cause) })));
      sent.end(body);
    });
    return response(answer);
  };
}

/**
 * What OpenSSL says may stand in the message alone: `… EPROTO …:SSL routines:function:wrong version number:…`.
 * @param {NodeJS.ErrnoException} error
 */
function withReason(error) {
  const [, said] = /:SSL routines:[^:]*:([^:]+)/.exec(error.message) ?? [];
  if (error.code === "EPROTO" && said) error.code = `ERR_SSL_${said.toUpperCase().replaceAll(" ", "_")}`;
  return error;
}

/** @param {import("node:http").IncomingMessage} answer */
function response(answer) {
  const status = answer.statusCode ?? 0;
  const headers = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
  // A Response with one of these refuses any body.
  const isEmpty = [204, 205, 304].includes(status);
  if (isEmpty) answer.resume();
  return new Response(isEmpty ? null : /** @type {ReadableStream} */ (Readable.toWeb(answer)), {
    status,
    headers: /** @type {[string, string][]} */ (headers),
  });
}

/**
 * Fails where a text is not what its name says. Node ignores some of these mistakes.
 * @param {Tls} tls
 * @param {string} howToGetCa
 */
function check({ ca, certificate, key }, howToGetCa) {
  if (ca !== undefined) {
    const found = ca.match(CERTIFICATES);
    if (!found) {
      throw new Error(`\`ca\` holds no certificate in PEM, which begins with ${CERTIFICATE_MARK}: give the text of the file, not its path. `
        + `If you have no such file, ${howToGetCa}`);
    }
    try {
      for (const one of found) new X509Certificate(one);
    } catch (cause) {
      throw new Error(`\`ca\` holds a damaged certificate (${reason(cause)}): ${howToGetCa}`, { cause });
    }
  }
  if (certificate === undefined) {
    if (key !== undefined) throw new Error("`key` was given without `certificate`: give the certificate that it belongs to, too.");
    return;
  }
  if (!certificate.includes(CERTIFICATE_MARK)) {
    throw new Error(`\`certificate\` holds no certificate in PEM, which begins with ${CERTIFICATE_MARK}: give the text of the file, not its `
      + "path. A file of another format is converted by, for example, `openssl x509 -in FILE -outform PEM`.");
  }
  const name = key === undefined ? "certificate" : "key";
  const own = key ?? certificate;
  if (!own.includes("PRIVATE KEY-----")) {
    throw new Error(`\`${name}\` holds no private key in PEM: give the text of the certificate's key as \`key\`.`);
  }
  if (own.includes("ENCRYPTED")) {
    throw new Error(`The key in \`${name}\` is protected by a password, for which nobody can be asked: decrypt it with `
      + "`openssl pkey -in FILE -out NEW`, and let only this program's user read it.");
  }
  try {
    createSecureContext({ cert: certificate, key: own });
  } catch (cause) {
    if (/KEY_VALUES_MISMATCH/.test(reason(cause))) {
      throw new Error(`The key in \`${name}\` does not belong to \`certificate\`: give the key that the certificate was made with.`, { cause });
    }
    throw new Error(`\`certificate\` or its key is damaged (${reason(cause)}): copy both again.`, { cause });
  }
}

/** @param {unknown} error */
function reason(error) {
  const { code, message } = /** @type {{code?: string, message?: string}} */ (error);
  return code ?? String(message);
}
