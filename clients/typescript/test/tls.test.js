// @ts-check
// The client in Node over TLS: what works, and which part is said to be wrong.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer as createTlsServer } from "node:https";
import { createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { ASTRONAUT, Daemon } from "../../../tests/page/support/daemon.js";
import { Faceood, FaceoodError } from "../faceood.js";
import { failure } from "./support.js";

const TOKEN = "fod_right";
const run = promisify(execFile);
/** @type {string} */
let folder;
/** @type {Record<string, string>} the files of the folder, by name */
const pem = {};
/** @type {Daemon} takes client certificates, and asks for none */
let daemon;
/** @type {string} where it speaks TLS */
let baseUrl;

/** @param {string[]} given */
const openssl = (...given) => run("openssl", given, { cwd: folder, timeout: 60_000 });
const CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** @param {string} name */
async function authority(name) {
  const usage = ["-addext", "keyUsage=critical,keyCertSign"];
  await openssl("req", "-x509", ...CURVE, "-keyout", `${name}.key`, "-out", `${name}.pem`, "-days", "2", "-subj", `/CN=${name}`, ...usage);
}

/** @param {string} signer @param {string} file @param {string} name its common name and only host name @param {string[]} [validity] */
async function certificate(signer, file, name, validity = ["-days", "2"]) {
  const request = [...CURVE, "-keyout", `${file}.key`, "-out", `${file}.csr`, "-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`];
  await openssl("req", ...request);
  const sign = ["-CA", `${signer}.pem`, "-CAkey", `${signer}.key`, "-copy_extensions", "copy", ...validity];
  await openssl("x509", "-req", "-in", `${file}.csr`, "-out", `${file}.pem`, ...sign);
}

/** @param {string} file @param {string} name */
async function expired(file, name) {
  const dates = ["-not_before", "20250101000000Z", "-not_after", "20250102000000Z"];
  // Since OpenSSL 3.4 there are options for it, and no other way.
  await certificate("ours", file, name, ["-days", "-1"]).catch(() => certificate("ours", file, name, dates));
}

/**
 * A daemon on the network beside loopback.
 * @param {"optional" | "required"} clientAuth
 */
async function start(clientAuth) {
  const config = join(folder, `${clientAuth}.toml`);
  await writeFile(config, `[server.tls]\nclient_auth = "${clientAuth}"\nclient_ca = "${join(folder, "ours.pem")}"\n`);
  return Daemon.start("--config", config, "--listen", "0.0.0.0:0");
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "faceood-tls-"));
  await Promise.all(["ours", "theirs"].map(authority));
  await Promise.all([
    certificate("ours", "box", "localhost"),
    expired("old-box", "localhost"),
    certificate("ours", "gate-3", "gate-3"),
    certificate("ours", "nobody", "nobody"),
    certificate("theirs", "stranger", "gate-3"),
    expired("old-gate-3", "gate-3"),
  ]);
  await openssl("pkey", "-in", "gate-3.key", "-aes256", "-passout", "pass:x", "-out", "locked.key");
  for (const name of ["ours", "theirs", "box", "old-box", "gate-3", "nobody", "stranger", "old-gate-3"]) {
    for (const file of [`${name}.pem`, `${name}.key`]) pem[file] = await readFile(join(folder, file), "utf8");
  }
  pem["locked.key"] = await readFile(join(folder, "locked.key"), "utf8");
  const token = { name: "gate-3", role: "terminal", sha256: createHash("sha256").update(TOKEN).digest("hex"), created: "2026-01-01T00:00:00Z" };
  const lines = Object.entries(token).map(([name, value]) => `${name} = "${value}"\n`);
  await writeFile(join(folder, "tokens.toml"), `[[token]]\n${lines.join("")}`, { mode: 0o600 });
  daemon = await start("optional");
  baseUrl = await daemon.encrypted("127.0.0.1");
  pem.ca = await (await fetch(`${daemon.address}/ca.pem`)).text();
});
after(async () => {
  await daemon?.stop();
  await rm(folder, { recursive: true, force: true });
});

/**
 * An encrypted service that tells which token it got.
 * @param {string} name of its certificate
 * @param {(baseUrl: string) => Promise<void>} act
 */
async function serving(name, act) {
  const server = createTlsServer({ cert: pem[`${name}.pem`], key: pem[`${name}.key`] }, (request, response) => {
    response.end(JSON.stringify({ name: request.headers.authorization }));
  });
  server.on("tlsClientError", () => {});
  await new Promise((resolve) => server.listen(0, "localhost", () => resolve(undefined)));
  try {
    await act(`https://localhost:${/** @type {import("node:net").AddressInfo} */ (server.address()).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("a token and the authority are all that a terminal needs", async () => {
  const client = new Faceood({ baseUrl, token: TOKEN, ca: pem.ca });
  const photo = await readFile(ASTRONAUT);
  // As a form and as JSON.
  const { faces: [face] } = await client.extract(new Uint8Array(photo));
  const answer = await client.compare(new Uint8Array(photo), { embedding: face.embedding ?? [] });
  assert.equal(answer.verdict, "same");
  const problem = await failure(client.extract(new Uint8Array([1, 2, 3])), "unsupported_media_type");
  assert.match(problem.requestId ?? "", /^[0-9a-f-]{36}$/);
  const buffer = /** @type {any} */ (Buffer.from(pem.ca));
  assert.equal((await new Faceood({ baseUrl, token: TOKEN, ca: buffer }).ready()).status, "ready");
});

test("a client certificate takes the place of the token", async () => {
  const photo = new Uint8Array(await readFile(ASTRONAUT));
  for (const own of [
    { certificate: pem["gate-3.pem"], key: pem["gate-3.key"] },
    { certificate: pem["gate-3.pem"] + pem["gate-3.key"] },
  ]) {
    const client = new Faceood({ baseUrl, ca: pem.ca, ...own });
    assert.equal((await client.quality(photo)).faces.length, 1);
    const refused = await failure(client.info(), "forbidden");
    assert.match(refused.message, /The token's role or its sources do not permit this/);
  }
  const unknown = new Faceood({ baseUrl, ca: pem.ca, certificate: pem["nobody.pem"], key: pem["nobody.key"] });
  const error = await failure(unknown.quality(photo), "unauthenticated");
  assert.match(error.message, /the common name of the client certificate is not the name of one/);
});

test("a refused token is told from a refused connection", async () => {
  const photo = new Uint8Array(await readFile(ASTRONAUT));
  const wrong = await failure(new Faceood({ baseUrl, token: "fod_wrong", ca: pem.ca }).quality(photo), "unauthenticated");
  assert.match(wrong.message, /The token that was sent is wrong, has expired or was revoked/);
  const none = await failure(new Faceood({ baseUrl, ca: pem.ca }).quality(photo), "unauthenticated");
  assert.match(none.message, /No token was sent: give it as `token`/);
  const role = await failure(new Faceood({ baseUrl, token: TOKEN, ca: pem.ca }).info(), "forbidden");
  assert.match(role.message, /`faceood-admin token list`/);
});

test("an authority that did not sign is named, and how to get the right one", async () => {
  for (const [ca, whom] of [[pem["theirs.pem"], "the authority in `ca`"], [undefined, "an authority that this system trusts"]]) {
    const error = await failure(new Faceood({ baseUrl, token: TOKEN, ca }).info(), "tls");
    assert.ok(error.message.includes(`is not signed by ${whom} (`), error.message);
    assert.ok(error.message.includes(`\`curl --insecure -o ca.pem ${baseUrl}/ca.pem\``), error.message);
    assert.match(error.message, /`faceood-admin tls show` .* give the file's text as `ca`/);
    assert.equal(error.isTemporary, false);
  }
  const bundle = new Faceood({ baseUrl, token: TOKEN, ca: pem["theirs.pem"] + pem.ca });
  assert.equal((await bundle.ready()).status, "ready");
});

test("a certificate for another host and one that has expired are told apart", async () => {
  const elsewhere = await failure(new Faceood({ baseUrl: await daemon.encrypted("127.0.0.2"), ca: pem.ca }).info(), "tls");
  assert.match(elsewhere.message, /is not for 127\.0\.0\.2: use a name or an address that `faceood-admin tls show` lists/);
  await serving("old-box", async (url) => {
    const error = await failure(new Faceood({ baseUrl: url, ca: pem["ours.pem"] }).info(), "tls");
    assert.match(error.message, /has expired: renew it there with `faceood-admin tls renew`; if it has not expired, the clock/);
  });
});

test("a client certificate that the service refuses is named", async () => {
  for (const name of ["stranger", "old-gate-3"]) {
    const client = new Faceood({ baseUrl, ca: pem.ca, certificate: pem[`${name}.pem`], key: pem[`${name}.key`] });
    const error = await failure(client.info(), "tls");
    assert.match(error.message, /refuses the client certificate in `certificate` \(ERR_SSL_\S+\): give one that has not expired/);
  }
});

test("a service that wants a client certificate says so, also while a picture is being sent", async () => {
  const strict = await start("required");
  try {
    const url = await strict.encrypted("localhost");
    const ca = await (await fetch(`${strict.address}/ca.pem`)).text();
    const none = new Faceood({ baseUrl: url, token: TOKEN, ca, retries: 0 });
    const error = await failure(none.info(), "tls");
    assert.match(error.message, /wants a client certificate \(\S+\): give one that its authority has signed as `certificate`/);
    const cut = await none.extract(new Uint8Array(3_000_000)).then(() => assert.fail("it did not fail"), (found) => found);
    assert.match(cut.message, /wants a client certificate/);
    assert.ok(["tls", "unreachable"].includes(cut.code), cut.code);
    const good = new Faceood({ baseUrl: url, ca, certificate: pem["gate-3.pem"], key: pem["gate-3.key"] });
    assert.equal((await good.ready()).status, "ready");
  } finally {
    await strict.stop();
  }
});

test("what is wrong with a text is said before anything is sent", async () => {
  const good = pem["gate-3.pem"];
  const damaged = good.replace(/\n\S{40}/, "\n");
  const own = { certificate: good, key: pem["gate-3.key"] };
  for (const [given, words] of /** @type {[import("../faceood.js").Options, string][]} */ ([
    [{ ca: "ca.pem" }, "`ca` holds no certificate in PEM, which begins with -----BEGIN CERTIFICATE-----: give the text of the file"],
    [{ ca: pem["ours.key"] }, "`ca` holds no certificate in PEM"],
    [{ ca: damaged }, "`ca` holds a damaged certificate ("],
    [{ ca: pem["ours.pem"] + damaged }, "`ca` holds a damaged certificate ("],
    [{ ...own, certificate: own.key }, "`certificate` holds no certificate in PEM"],
    [{ certificate: good }, "`certificate` holds no private key in PEM: give the text of the certificate's key as `key`"],
    [{ certificate: good, key: good }, "`key` holds no private key in PEM"],
    [{ certificate: good, key: pem["locked.key"] }, "The key in `key` is protected by a password"],
    [{ certificate: good, key: pem["ours.key"] }, "The key in `key` does not belong to `certificate`"],
    [{ ...own, certificate: damaged }, "`certificate` or its key is damaged ("],
    [{ key: own.key }, "`key` was given without `certificate`"],
  ])) {
    const error = await failure(new Faceood({ baseUrl: "https://127.0.0.1:9", ...given }).info(), "tls");
    assert.ok(error.message.includes(words), error.message);
    assert.doesNotMatch(error.message, /PRIVATE KEY-----/);
    assert.equal(error.isTemporary, false);
  }
});

test("where the options cannot work, the client is not made", (context) => {
  /** @param {import("../faceood.js").Options} options @param {RegExp} words */
  const refuses = (options, words) => assert.throws(() => new Faceood(options), (error) =>
    error instanceof FaceoodError && error.code === "tls" && words.test(error.message));
  refuses({ ca: pem.ca }, /`ca` was given, but http:\/\/127\.0\.0\.1:7860\/ is not encrypted: use https:/);
  refuses({ baseUrl, ca: pem.ca, fetch }, /`ca` was given together with `fetch`/);
  // A browser has no such object.
  const { process } = globalThis;
  context.after(() => { globalThis.process = process; });
  globalThis.process = /** @type {any} */ (undefined);
  refuses({ baseUrl, certificate: pem["gate-3.pem"] }, /`certificate` was given, but it works in Node alone: a browser itself decides/);
  new Faceood({ baseUrl, token: TOKEN });
});

test("a caller gives up, and nobody there is told, over TLS too", async () => {
  const silent = createTcpServer();
  await new Promise((resolve) => silent.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (silent.address());
  const url = `https://127.0.0.1:${port}`;
  try {
    await failure(new Faceood({ baseUrl: url, ca: pem.ca, timeoutMs: 50, retries: 0 }).info(), "timeout");
    const giving = new AbortController();
    const call = new Faceood({ baseUrl: url, ca: pem.ca }).info({ signal: giving.signal });
    giving.abort();
    await assert.rejects(call, { name: "AbortError" });
  } finally {
    silent.close();
  }
  await failure(new Faceood({ baseUrl: url, ca: pem.ca, retries: 0 }).info(), "unreachable");
});

test("Node's own fetch trusts an authority that Node is started with", () =>
  serving("box", async (url) => {
    const script = "const { Faceood } = await import(process.argv[1]);"
      + "const client = new Faceood({ baseUrl: process.argv[2], token: 'fod_right', retries: 0 });"
      + "console.log(await client.info().then((info) => info.name, (error) => `${error.code}: ${error.message}`));";
    const module = fileURLToPath(new URL("../faceood.js", import.meta.url));
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, "ours.pem") };
    const asked = await run(process.execPath, ["--input-type=module", "-e", script, module, url], { env, timeout: 60_000 });
    assert.equal(asked.stdout, "Bearer fod_right\n");
  }));

test("encrypted and plain addresses are told apart", async (context) => {
  // What a TLS service may say to plain text: an alert.
  const alerting = createTcpServer((socket) => socket.once("data", () => socket.end(Buffer.from("15030300020232", "hex"))));
  context.after(() => alerting.close());
  await new Promise((resolve) => alerting.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (alerting.address());
  const alerted = await failure(new Faceood({ baseUrl: `http://127.0.0.1:${port}` }).info(), "tls");
  assert.match(alerted.message, /is not HTTP: if it speaks TLS, use https:/);
  for (const ca of [undefined, pem.ca]) {
    const plain = await failure(new Faceood({ baseUrl: daemon.address.replace("http:", "https:"), ca }).info(), "tls");
    assert.match(plain.message, /does not speak TLS: use http:/);
  }
});
