// @ts-check
// The client in Node, against the real daemon; in browsers the tests of the page use it.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { DECLARATIONS, declarations, SHAPES, shapes } from "../../../tests/page/client-types.js";
import { ASTRONAUT, Daemon, SOMEBODY_ELSE } from "../../../tests/page/support/daemon.js";
import { Faceood, FaceoodError } from "../faceood.js";
import { failure } from "./support.js";

/** @type {Daemon} */
let daemon;
/** @type {Faceood} */
let client;
/** @type {Uint8Array<ArrayBuffer>} */
let photo;
before(async () => {
  daemon = await Daemon.start();
  client = new Faceood({ baseUrl: daemon.address, source: "gate-3" });
  photo = new Uint8Array(await readFile(ASTRONAUT));
});
after(() => daemon?.stop());

/**
 * A service that says these answers one after the other.
 * @param {{status: number, headers?: Record<string, string>, body: object | string}[]} answers a text is sent as a page
 * @param {(address: string, asked: number[]) => Promise<void>} act
 */
async function scripted(answers, act) {
  /** @type {number[]} */
  const asked = [];
  const server = createServer((_request, response) => {
    const { status, headers, body } = answers[Math.min(asked.length, answers.length - 1)];
    asked.push(Date.now());
    const [type, sent] = typeof body === "string" ? ["text/html", body] : ["application/problem+json", JSON.stringify(body)];
    response.writeHead(status, { "Content-Type": type, ...headers }).end(sent);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  try {
    await act(`http://127.0.0.1:${port}`, asked);
  } finally {
    server.close();
  }
}
const overloaded = { type: "urn:faceood:problem:overloaded", title: "The service is busy", status: 503, detail: "the queue is full", request_id: "r-1" };

test("a picture as bytes, as a buffer or as a blob gives the same face", async () => {
  const answers = await Promise.all([photo, photo.buffer, new Blob([photo])].map((picture) => client.extract(picture)));
  for (const { faces, model } of answers) {
    assert.equal(faces[0].embedding?.length, 512);
    assert.equal(faces[0].quality.score, answers[0].faces[0].quality.score);
    assert.match(model.sha256, /^[0-9a-f]{64}$/);
  }
});

test("what is asked for reaches the service", async () => {
  const answer = await client.extract(photo, { scenario: "enroll", embedding: false, faces: "all", source: "desk" });
  assert.equal(answer.faces[0].decision.scenario, "enroll");
  assert.equal(answer.faces[0].embedding, undefined);
  const { inferences: [row] } = await client.inferences({ source: "desk", limit: 1 });
  assert.equal(row.request_id, answer.request_id);
});

test("no face is no error before a picture is taken, and hints come in the client's language", async () => {
  const chinese = new Faceood({ baseUrl: daemon.address, language: "zh" });
  const blank = Buffer.from("Qk06AAAAAAAAADYAAAAoAAAAAQAAAAEAAAABABgAAAAAAAQAAAATCwAAEwsAAAAAAAAAAAAAAAAAAA==", "base64");
  const answer = await chinese.quality(new Uint8Array(blank));
  assert.deepEqual(answer.faces, []);
  assert.match(answer.hints[0].message, /[\u4e00-\u9fff]/);
});

test("pictures and embeddings are compared alike", async () => {
  const [{ faces: [face], model }, other] = await Promise.all([client.extract(photo), readFile(SOMEBODY_ELSE)]);
  assert.equal((await client.compare(photo, photo)).verdict, "same");
  assert.equal((await client.compare(new Uint8Array(other), photo)).verdict, "different");
  const known = { embedding: face.embedding ?? [], modelSha256: model.sha256, qualityScore: face.quality.score };
  const answer = await client.compare(photo, known);
  assert.equal(answer.verdict, "same");
  assert.ok(answer.similarity > 0.999, String(answer.similarity));
  assert.equal((await failure(client.compare(photo, { ...known, modelSha256: "0".repeat(64) }), "model_mismatch")).status, 409);
});

test("a problem has its code, its sentence, its side and the request's name", async () => {
  const error = await failure(client.compare(photo, new Uint8Array([1, 2, 3])), "unsupported_media_type");
  assert.equal(error.status, 415);
  assert.equal(error.part, "reference");
  assert.equal(error.isTemporary, false);
  const { inferences: [row] } = await client.inferences({ limit: 1 });
  assert.equal(row.request_id, error.requestId);
});

test("feedback is told of an earlier answer", async () => {
  const { request_id } = await client.compare(photo, photo);
  const told = await client.feedback({ request_id, outcome: "genuine", note: "seen at the door" });
  assert.equal(told.request_id, request_id);
  await failure(client.feedback({ request_id: "never", outcome: "genuine" }), "not_found");
});

test("the service says what it is and that it is ready", async () => {
  assert.equal((await client.info()).name, "faceood");
  assert.equal((await client.ready()).status, "ready");
});

test("what is refused for now is sent again, as late as the service asks for", () =>
  scripted([
    { status: 503, headers: { "Retry-After": "1" }, body: overloaded },
    { status: 200, body: { name: "faceood" } },
  ], async (address, asked) => {
    const info = await new Faceood({ baseUrl: address }).info();
    assert.equal(info.name, "faceood");
    assert.equal(asked.length, 2);
    assert.ok(asked[1] - asked[0] >= 990, "Retry-After is honoured");
  }));

test("after its retries the client says what the service said; what is wrong for good is not sent again", async () => {
  await scripted([{ status: 503, body: overloaded }], async (address, asked) => {
    const error = await failure(new Faceood({ baseUrl: address, retries: 1 }).info(), "overloaded");
    assert.equal(error.message, "the queue is full");
    assert.equal(error.requestId, "r-1");
    assert.equal(asked.length, 2);
  });
  const body = { ...overloaded, type: "urn:faceood:problem:no_face", status: 422 };
  await scripted([{ status: 422, body }], async (address, asked) => {
    await failure(new Faceood({ baseUrl: address }).quality(photo), "no_face");
    assert.equal(asked.length, 1);
  });
});

test("what a load balancer refuses for now is sent again too, whatever its body", async () => {
  for (const status of [429, 503]) {
    for (const body of ["<h1>Try later</h1>", "", {}, []]) {
      await scripted([{ status, body }, { status: 200, body: { name: "faceood" } }], async (address, asked) => {
        assert.equal((await new Faceood({ baseUrl: address }).info()).name, "faceood");
        assert.equal(asked.length, 2);
      });
    }
  }
  const page = { status: 503, headers: { "Retry-After": "1" }, body: "<h1>Try later</h1>" };
  await scripted([page], async (address, asked) => {
    const error = await failure(new Faceood({ baseUrl: address, retries: 1 }).info(), "internal");
    assert.equal(error.status, 503);
    assert.equal(error.isTemporary, true);
    assert.equal(asked.length, 2);
    assert.ok(asked[1] - asked[0] >= 990, "Retry-After is honoured");
  });
  await scripted([{ status: 429, headers: { "Retry-After": "300" }, body: "<h1>Try later</h1>" }], async (address, asked) => {
    await failure(new Faceood({ baseUrl: address }).info(), "internal");
    assert.equal(asked.length, 1);
  });
  await scripted([{ status: 502, body: "<h1>Bad Gateway</h1>" }], async (address, asked) => {
    assert.equal((await failure(new Faceood({ baseUrl: address }).info(), "internal")).isTemporary, false);
    assert.equal(asked.length, 1);
  });
});

test("nobody there, and a caller who gives up, are told apart", async () => {
  const nobody = new Faceood({ baseUrl: "http://127.0.0.1:9", retries: 0 });
  const error = await failure(nobody.info(), "unreachable");
  assert.equal(error.isTemporary, true);
  assert.match(error.message, /is it running\?/);
  await scripted([{ status: 503, headers: { "Retry-After": "30" }, body: overloaded }], async (address, asked) => {
    const giving = new AbortController();
    const call = new Faceood({ baseUrl: address }).info({ signal: giving.signal });
    while (asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    giving.abort();
    await assert.rejects(call, { name: "AbortError" });
  });
});

const unauthenticated = { type: "urn:faceood:problem:unauthenticated", title: "A valid token is needed", status: 401, detail: "a valid token is needed", request_id: "r-1" };

test("no token and a wrong one are told apart, and not sent again", async () => {
  for (const [token, advice] of [[undefined, /No token was sent: give it as `token`/], ["secret", /wrong, has expired or was revoked/]]) {
    await scripted([{ status: 401, body: unauthenticated }], async (address, asked) => {
      const error = await failure(new Faceood({ baseUrl: address, token: /** @type {string | undefined} */ (token) }).info(), "unauthenticated");
      assert.match(error.message, /** @type {RegExp} */ (advice));
      assert.match(error.message, /^a valid token is needed\. /);
      assert.doesNotMatch(error.message, /secret/);
      assert.equal(error.status, 401);
      assert.equal(error.isTemporary, false);
      assert.equal(asked.length, 1);
    });
  }
});

test("a role that may not is told so, and not sent again", async () => {
  const body = { ...unauthenticated, type: "urn:faceood:problem:forbidden", status: 403, detail: "this token may not do that" };
  await scripted([{ status: 403, body }], async (address, asked) => {
    const error = await failure(new Faceood({ baseUrl: address, token: "secret" }).info(), "forbidden");
    assert.match(error.message, /^this token may not do that\. .*`faceood-admin token list`/);
    assert.equal(asked.length, 1);
  });
});

test("a limit that lasts for minutes is not waited for", () =>
  scripted([{ status: 429, headers: { "Retry-After": "300" }, body: { ...overloaded, type: "urn:faceood:problem:rate_limited" } }],
    async (address, asked) => {
      assert.equal((await failure(new Faceood({ baseUrl: address }).info(), "rate_limited")).retryAfterMs, 300_000);
      assert.equal(asked.length, 1);
    }));

test("a token that cannot be sent is not repeated", () => {
  for (const token of ["secret with spaces", "secret“", "secret\r\nX-Other: 1"]) {
    assert.throws(() => new Faceood({ token }), (error) =>
      error instanceof FaceoodError && error.code === "unauthenticated" && !error.message.includes("secret"));
  }
});

test("token and credentials go with every request; without the option fetch decides about cookies", async () => {
  /** @type {RequestInit[]} */
  const sent = [];
  /** @type {typeof globalThis.fetch} */
  const fetch = async (_input, init) => {
    sent.push(init ?? {});
    return Response.json({ name: "faceood" });
  };
  await new Faceood({ fetch, token: " fod_right\n", credentials: "include" }).info();
  await new Faceood({ fetch }).info();
  const headers = new Headers(sent[0].headers);
  assert.equal(headers.get("Authorization"), "Bearer fod_right");
  assert.equal(sent[0].credentials, "include");
  assert.equal("credentials" in sent[1], false);
});

test("the types are those of the service and of the client", async () => {
  const remedy = "run node tests/page/client-types.js with the address of a daemon";
  assert.equal(await readFile(SHAPES, "utf8"), await shapes(daemon.address), remedy);
  assert.equal(await readFile(DECLARATIONS, "utf8"), await declarations(), remedy);
});
