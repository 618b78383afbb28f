// @ts-check
// What web pages of other sites can do to the service through the browser of somebody who reaches it: follow a link, and no
// more, unless the settings name the site. Every name below `.example` is this machine, so that one server is several sites.
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, test } from "node:test";
import { Faceood } from "../../clients/typescript/faceood.js";
import { choose, protectedService } from "./support/browser.js";
import { ASTRONAUT, REPOSITORY, until } from "./support/daemon.js";

/** @typedef {import("playwright-core").Page} Page */

const CLIENT = await readFile(join(REPOSITORY, "clients/typescript/faceood.js"));
const PHOTO = await readFile(ASTRONAUT);
const PICTURE = PHOTO.toString("base64");

const server = createServer((request, response) => {
  const isClient = request.url === "/faceood.js";
  response.setHeader("Content-Type", isClient ? "text/javascript" : "text/html");
  response.end(isClient ? CLIENT : "<!doctype html><title>elsewhere</title>");
}).listen(0, "127.0.0.1");
await once(server, "listening");
after(() => {
  server.close();
  server.closeAllConnections();
});
const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
const [EVIL, GATE, OTHER_PORT] = ["evil.example", "gate.example", "127.0.0.1"].map((host) => `http://${host}:${port}`);

const { daemon, tokens, browser } = await protectedService(
  `[server]\norigins = ["${GATE}"]\n`,
  { "front-desk": "operator", "gate-3": "terminal" },
  "--host-resolver-rules=MAP *.example 127.0.0.1",
);
const own = new Faceood({ baseUrl: daemon.address, source: "own" });
const { request_id: SECRET } = await own.extract(new Uint8Array(PHOTO));

/**
 * Opens `address` in a browser that has signed in to the page of the daemon, and runs `act`.
 * @param {string} address
 * @param {(page: Page, status: number) => Promise<void>} act
 */
async function opened(address, act) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  try {
    await context.request.post(`${daemon.network}/session`, { data: { token: tokens["front-desk"] } });
    const page = await context.newPage();
    const response = await page.goto(address);
    await act(page, response?.status() ?? 0);
  } finally {
    await context.close();
  }
}

/** The sources of all rows of the log. */
const sources = async () => (await own.inferences({ limit: 100 })).inferences.map(({ source }) => source);

/** How many requests of pages elsewhere were refused. */
async function refusals() {
  const metrics = await (await fetch(`${daemon.address}/metrics`)).text();
  return Number(/^faceood_access_refusals_total\{reason="cross_site"\} (\d+)$/m.exec(metrics)?.[1]);
}

test("a name that its owner points to the box shows nothing of it (DNS rebinding)", async () => {
  for (const address of [daemon.address, daemon.network]) {
    await opened(`${address.replace("127.0.0.1", "evil.example")}/v1/inferences`, async (page, status) => {
      assert.equal(status, 403);
      const heard = [await page.content(), ...await page.evaluate(async (picture) => {
        const body = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
        const headers = { "Content-Type": "image/jpeg" };
        const answers = await Promise.all([
          fetch("/v1/inferences"), fetch("/v1/info"), fetch("/v1/extract?source=forged", { method: "POST", headers, body }),
        ]);
        return Promise.all(answers.map(async (answer) => `${answer.status} ${await answer.text()}`));
      }, PICTURE)];
      assert.equal(heard.length, 4);
      assert.match(heard.slice(1).join("\n"), /^403 .*\n403 .*\n403 .*$/);
      for (const text of heard) {
        assert.ok(text.includes("`evil.example") && text.includes("is not a name of this box"), text);
        assert.ok(!text.includes(SECRET), text);
      }
    });
  }
  assert.deepEqual(await sources(), ["own"]);
});

for (const [origin, address] of [[EVIL, daemon.address], [OTHER_PORT, daemon.address], [EVIL, daemon.network]]) {
  test(`a page of ${new URL(origin).hostname} can neither read from ${new URL(address).protocol} nor write there`, () =>
    opened(origin, async (page) => {
      const before = await refusals();
      /** @type {string[]} */
      const got = [];
      page.on("response", (response) => {
        if (response.url().startsWith(address)) got.push(`${response.status()} ${new URL(response.url()).pathname}`);
      });
      const read = await page.evaluate(async ([address, picture]) => {
        const form = new FormData();
        form.append("image", new Blob([Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0))]), "face.jpg");
        const extract = `${address}/v1/extract?source=forged`;
        /** @param {RequestInit} [init] */
        const ask = (url = extract, init) => fetch(url, init).then((answer) => answer.text(), () => "");
        /** @param {string} tag @param {Record<string, string>} properties */
        const load = (tag, properties) => new Promise((resolve) => {
          const element = Object.assign(document.createElement(tag), properties);
          element.onload = () => resolve(tag === "iframe" ? "" : `${tag} was loaded`);
          element.onerror = () => resolve("");
          document.body.append(element);
        });
        navigator.sendBeacon(extract, "small, as a beacon must be");
        return Promise.all([
          ask(`${address}/v1/inferences`),
          ask(`${address}/v1/inferences`, { mode: "no-cors", credentials: "include" }),
          ask(extract, { method: "POST", body: form }),
          ask(extract, { method: "POST", body: form, mode: "no-cors", credentials: "include" }),
          load("img", { src: `${address}/v1/info` }),
          load("script", { src: `${address}/v1/info` }),
          load("iframe", { src: `${address}/v1/inferences` }),
        ]);
      }, [address, PICTURE]);
      assert.deepEqual(read, Array(7).fill(""));

      // A form needs no script, and its answer takes the place of the page.
      const form = `<form method="post" enctype="multipart/form-data" action="${address}/v1/extract?source=forged">`;
      await page.setContent(`${form}<input type="file" name="image"></form>`);
      await page.setInputFiles("input", ASTRONAUT);
      await Promise.all([page.waitForURL(/extract/), page.evaluate(() => document.forms[0].submit())]);
      assert.match(await page.content(), /a web page of another site has sent this request/);
      assert.deepEqual(got.filter((answer) => !answer.startsWith("403 ")), []);
      // The beacon is sent when the browser finds the time.
      await until(async () => await refusals() >= before + 9);
      assert.equal(await refusals(), before + 9);
      assert.deepEqual(await sources(), ["own"]);
    }));
}

test("who was refused stands in the log", async () => {
  const expected = ["host /v1/extract", "host /v1/info", "host /v1/inferences", "cross_site /v1/extract", "cross_site /v1/inferences"];
  await until(async () => {
    /** @type {{groups: {refusal: string, endpoint: string, address: string}[]}} */
    const { groups } = JSON.parse(await daemon.admin("access", "--format", "json"));
    const seen = groups.filter(({ address }) => address === "127.0.0.1").map(({ refusal, endpoint }) => `${refusal} ${endpoint}`);
    return expected.every((group) => seen.includes(group));
  });
});

test("a link elsewhere leads to the page, which works, and on which who was signed in still is", async () => {
  for (const address of [daemon.address, daemon.network]) {
    await opened(EVIL, async (page) => {
      await page.evaluate((href) => {
        const link = Object.assign(document.createElement("a"), { href, textContent: "a link" });
        document.body.append(link);
      }, address);
      await page.click("a");
      await page.waitForSelector("#facts span");
      assert.equal(await page.textContent("#who"), "Signed in as front-desk (operator)");
      await choose(page, "extract", ASTRONAUT);
      await page.waitForSelector("#extract .face");
    });
  }
});

/**
 * What the client gets in a page of `origin`: of three calls the ids, of one with a wrong token the error.
 * @param {string} origin
 */
async function terminal(origin) {
  /** @type {any} */
  let heard;
  await opened(origin, async (page) => {
    heard = await page.evaluate(async ([baseUrl, token, picture]) => {
      const module = "/faceood.js";
      const { Faceood } = await import(module);
      const photo = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
      const told = ({ code = "", status = 0, requestId = "" }) => ({ code, status, requestId });
      const client = new Faceood({ baseUrl, token, source: "browser", retries: 0 });
      try {
        const extraction = await client.extract(photo);
        const [{ embedding }] = extraction.faces;
        const answers = [extraction, await client.quality(photo), await client.compare({ embedding }, photo)];
        const headers = { Authorization: `Bearer ${token}`, "X-Request-Id": "terminal-7", "Content-Type": "image/jpeg" };
        const { headers: answered } = await fetch(`${baseUrl}/v1/quality?source=browser`, { method: "POST", headers, body: photo });
        const wrong = new Faceood({ baseUrl, token: "fod_wrong", retries: 0 }).info().catch(told);
        const forbidden = client.info().catch(told);
        return {
          ids: answers.map(({ request_id }) => request_id), header: answered.get("X-Request-Id"), verdict: answers[2].verdict,
          wrong: await wrong, forbidden: await forbidden,
        };
      } catch (error) {
        return told(/** @type {any} */ (error));
      }
    }, [daemon.network, tokens["gate-3"], PICTURE]);
  });
  return heard;
}

test("a terminal in a browser, whose site the settings name, uses the client with its token", async () => {
  const { ids, header, verdict, wrong, forbidden } = await terminal(GATE);
  assert.equal(verdict, "same");
  assert.equal(header, "terminal-7");
  const { inferences } = await own.inferences({ source: "browser" });
  // A comparison has a row for each side.
  assert.deepEqual([...new Set(inferences.map(({ request_id }) => request_id))], [header, ...ids.reverse()]);
  assert.deepEqual(new Set(inferences.map(({ token }) => token)), new Set(["gate-3"]));
  // A page can read a refusal too, and so say what is wrong.
  for (const [{ code, status, requestId }, expected] of [[wrong, [401, "unauthenticated"]], [forbidden, [403, "forbidden"]]]) {
    assert.deepEqual([status, code], expected);
    assert.ok(requestId);
  }
});

test("the same in a page that the settings do not name gets nothing", async () => {
  const before = await sources();
  for (const origin of [EVIL, OTHER_PORT]) assert.deepEqual(await terminal(origin), { code: "unreachable", status: 0, requestId: "" });
  assert.deepEqual(await sources(), before);
});
