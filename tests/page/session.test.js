// @ts-check
// Signing in to a protected service, out of it, and what happens when a session ends. What the service answers about sessions
// is scripted here; pictures are answered by the real daemon.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible, choose, onPage, service } from "./support/browser.js";
import { ASTRONAUT } from "./support/daemon.js";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {{status: number, headers?: Record<string, string>}} Answer */

const { daemon, browser } = await service();
const TOKEN = "fod_right-token-of-the-front-desk";

/** A protected service, as the page sees it. */
class Guard {
  /** @type {{name: string, role: string} | null} */
  session = null;
  /** What the next sign-in is answered with. @type {Answer} */
  answer = { status: 204 };
  /** Who signs in. */
  next = { name: "front-desk", role: "operator" };
  /** What requests for answers about pictures are refused with. @type {(Answer & {code: string}) | undefined} */
  refusal;
  /** @type {string[]} */
  asked = [];

  /** @param {Page} page */
  async stand(page) {
    await page.route("**/session", (route) => {
      const request = route.request();
      this.asked.push(`${request.method()} session ${request.postData() ?? ""}`.trim());
      if (request.method() === "GET") {
        const { name, role } = this.session ?? { name: null, role: null };
        return route.fulfill({ json: { protected: true, name, role } });
      }
      if (request.method() === "DELETE") this.session = null;
      else if (this.answer.status === 204) this.session = this.next;
      return route.fulfill(request.method() === "DELETE" ? { status: 204 } : this.answer);
    });
    await page.route("**/v1/**", (route) => {
      this.asked.push(new URL(route.request().url()).pathname);
      const refusal = this.refusal ?? (this.session ? undefined : { status: 401, code: "unauthenticated", headers: {} });
      if (!refusal) return route.continue();
      const { status, code, headers } = refusal;
      const body = { type: `urn:faceood:problem:${code}`, title: "", status, detail: `the service says ${code}`, request_id: "r" };
      return route.fulfill({ status, headers, contentType: "application/problem+json", body: JSON.stringify(body) });
    });
    await page.reload();
  }
}

/**
 * The page of a protected service on which nobody is signed in.
 * @param {(page: Page, guard: Guard) => Promise<void>} act
 * @param {import("./support/browser.js").Look} [look]
 */
const onProtected = (act, look) => onPage(browser, daemon.address, async (page) => {
  const guard = new Guard();
  await guard.stand(page);
  await page.waitForSelector("#sign-in");
  await page.waitForSelector("#state[data-state=ready]");
  await act(page, guard);
}, look);

/** @param {Page} page @param {string} [token] */
async function signIn(page, token = TOKEN) {
  await page.fill("#token", token);
  await page.keyboard.press("Enter");
}

/** @param {Page} page */
const focused = (page) => page.evaluate(() => document.activeElement?.id);

test("an open service, or one that knows no sign-in, shows nothing of it", () =>
  onPage(browser, daemon.address, async (page) => {
    const answers = [
      { json: { protected: false, name: null, role: null } },
      { status: 404, json: { type: "urn:faceood:problem:not_found" } },
      { status: 200, body: "<!doctype html>" },
    ];
    for (const answer of answers) {
      await page.route("**/session", (route) => route.fulfill(answer));
      await page.reload();
      await page.waitForSelector("#facts span");
      assert.equal(await page.isVisible("#functions"), true);
      for (const hidden of ["#sign-in", "#sign-out", "#who", "#session-note"]) assert.equal(await page.isVisible(hidden), false, hidden);
      await page.unroute("**/session");
    }
    await page.route("**/session", (route) => route.abort());
    await choose(page, "compare", ASTRONAUT, ASTRONAUT);
    await page.waitForSelector("#compare .verdict.same");
  }));

for (const [language, title, who] of [["en", "Sign in", "Signed in as front-desk (operator)"], ["zh-CN", "登录", "已登录：front-desk（操作员）"]]) {
  test(`a token opens the functions, and name and role are said (${language})`, () =>
    onProtected(async (page, guard) => {
      assert.equal(await page.textContent("#sign-in h2"), title);
      assert.equal(await page.isVisible("#functions"), false);
      assert.equal(await focused(page), "token");
      assert.deepEqual(guard.asked, ["GET session"], "nothing is asked that would be refused");
      await signIn(page, ` ${TOKEN}\n`);
      await page.waitForSelector("#functions");
      assert.equal(await page.textContent("#who"), who);
      assert.equal(await page.isVisible("#sign-in"), false);
      assert.equal(await focused(page), "tab-compare");
      assert.ok(guard.asked.includes(`POST session ${JSON.stringify({ token: TOKEN })}`), String(guard.asked));
      await page.waitForSelector("#facts span");
      await choose(page, "compare", ASTRONAUT, ASTRONAUT);
      await page.waitForSelector("#compare .verdict.same");
    }, { language }));
}

test("the token stands nowhere but in its field, and not there after it was taken", () =>
  onProtected(async (page) => {
    assert.equal(await page.getAttribute("#token", "type"), "password");
    assert.equal(await page.getAttribute("#token", "autocomplete"), "current-password");
    await signIn(page);
    await page.waitForSelector("#functions");
    const kept = await page.evaluate(() => JSON.stringify([
      { ...localStorage }, { ...sessionStorage }, location.href, document.cookie, new XMLSerializer().serializeToString(document),
      [...document.querySelectorAll("input")].map((input) => input.value),
    ]));
    assert.ok(!kept.includes(TOKEN));
  }));

for (const [what, language, answer, words] of /** @type {[string, string, Answer, RegExp][]} */ ([
  ["a wrong token", "en", { status: 401 }, /does not accept this token\. Check that it is complete/],
  ["a wrong token", "zh-CN", { status: 401 }, /服务不接受此令牌/],
  ["a role that may not use the page", "en", { status: 403 }, /use a token with the role operator or admin/],
  ["a role that may not use the page", "zh-CN", { status: 403 }, /此令牌无权使用本页面/],
  ["too many wrong tokens", "en", { status: 429, headers: { "Retry-After": "290" } }, /try again in 5 min/],
  ["too many wrong tokens", "zh-CN", { status: 429, headers: { "Retry-After": "290" } }, /请在 5 分钟后重试/],
  ["a failure of the service", "en", { status: 500 }, /status 500.*tell the administrator/],
])) {
  test(`${what} is told with what to do (${language})`, () =>
    onProtected(async (page, guard) => {
      guard.answer = answer;
      await signIn(page);
      await page.waitForFunction(() => document.querySelector("#session-note")?.textContent);
      assert.match(await page.textContent("#session-note") ?? "", words);
      assert.equal(await page.isVisible("#functions"), false);
      assert.equal(await page.getAttribute("#token", "aria-invalid"), String(answer.status === 401));
      assert.equal(await focused(page), "token");
      await assertAccessible(page, what);
      guard.answer = { status: 204 };
      await signIn(page);
      await page.waitForSelector("#functions");
      assert.equal(await page.textContent("#session-note"), "");
    }, { language }));
}

test("an empty field, a service that is gone and a browser that keeps no cookie are told apart", () =>
  onProtected(async (page, guard) => {
    const said = (/** @type {RegExp} */ words) => page.waitForFunction((source) =>
      new RegExp(source).test(document.querySelector("#session-note")?.textContent ?? ""), words.source);
    await signIn(page, "  ");
    await said(/enter your access token/);
    assert.deepEqual(guard.asked, ["GET session"]);
    await page.route("**/session", (route) => route.abort(), { times: 1 });
    await signIn(page);
    await said(/does not answer/);
    guard.next = /** @type {any} */ (null);
    await signIn(page);
    await said(/allow cookies/);
  }));

test("a session that ends in the middle keeps the pictures, and the answer comes after the next sign-in", () =>
  onProtected(async (page, guard) => {
    await signIn(page);
    await choose(page, "compare", ASTRONAUT);
    guard.session = null;
    await page.locator("#compare input[type=file]").nth(1).setInputFiles(ASTRONAUT);
    await page.waitForSelector("#sign-in");
    assert.match(await page.textContent("#session-note") ?? "", /session has ended.*pictures are still here/);
    assert.equal(await focused(page), "token");
    assert.equal(await page.isVisible("#functions"), false);
    assert.equal(await page.isVisible("#sign-out"), false);
    await page.click("#language");
    await page.waitForSelector("#session-note >> text=会话已结束");
    await page.click("#language");
    await signIn(page);
    await page.waitForSelector("#compare .verdict.same");
    assert.equal(await page.locator("#compare .slot.filled").count(), 2);
    assert.equal(await page.textContent("#compare .failure"), "");
  }));

test("whoever signs in next does not see the pictures of somebody else", () =>
  onProtected(async (page, guard) => {
    await signIn(page);
    await choose(page, "compare", ASTRONAUT);
    guard.session = null;
    await page.locator("#compare input[type=file]").nth(1).setInputFiles(ASTRONAUT);
    await page.waitForSelector("#sign-in");
    guard.next = { name: "night-shift", role: "admin" };
    await signIn(page);
    await page.waitForSelector("#functions");
    assert.equal(await page.textContent("#who"), "Signed in as night-shift (administrator)");
    assert.equal(await page.locator(".slot.filled").count(), 0);
  }));

test("the camera closes when the session ends, and the form has the focus", () =>
  onProtected(async (page, guard) => {
    await signIn(page);
    await page.waitForSelector("#functions");
    await page.locator("#compare .camera").first().click();
    await page.waitForSelector("dialog[open]");
    guard.session = null;
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await page.waitForSelector("#sign-in");
    assert.equal(await page.isVisible("dialog"), false);
    assert.equal(await focused(page), "token");
  }));

test("signing out removes the pictures; where that fails it is said", () =>
  onProtected(async (page, guard) => {
    await signIn(page);
    await choose(page, "compare", ASTRONAUT, ASTRONAUT);
    await page.waitForSelector("#compare .verdict.same");
    await page.route("**/session", (route) => route.abort(), { times: 1 });
    await page.click("#sign-out");
    await page.waitForSelector("#session-note >> text=Signing out did not work");
    assert.equal(await page.isVisible("#functions"), true);
    await page.click("#sign-out");
    await page.waitForSelector("#sign-in");
    assert.match(await page.textContent("#session-note") ?? "", /^You have signed out/);
    assert.ok(guard.asked.includes("DELETE session"));
    assert.equal(await page.locator(".slot.filled, .verdict").count(), 0);
    assert.equal(await page.textContent("#said"), "");
    assert.equal(await page.textContent("#who"), "");
    assert.equal(await focused(page), "token");
    await page.reload();
    await page.waitForSelector("#sign-in");
  }));

test("what a role may not do, and too many requests, are told with what to do", () =>
  onProtected(async (page, guard) => {
    await signIn(page);
    await page.waitForSelector("#functions");
    guard.refusal = { status: 403, code: "forbidden" };
    await choose(page, "extract", ASTRONAUT);
    await page.waitForSelector("#extract .failure >> text=The service says forbidden.");
    assert.match(await page.textContent("#extract .failure") ?? "", /Sign in with another token, or ask the administrator/);
    guard.refusal = { status: 429, code: "rate_limited", headers: { "Retry-After": "90" } };
    await choose(page, "compare", ASTRONAUT, ASTRONAUT);
    await page.waitForSelector("#compare .failure >> text=Please wait 90 s, then try again.");
    guard.refusal = undefined;
    await page.click("#compare .failure button");
    await page.waitForSelector("#compare .verdict.same");
  }));

test("a name and a role of any length fit a phone, and markup in them is text", () =>
  onProtected(async (page, guard) => {
    guard.next = { name: `<b>${"gate".repeat(15)}</b>`, role: "auditor" };
    await signIn(page);
    await page.waitForSelector("#functions");
    assert.ok((await page.textContent("#who"))?.endsWith("</b> (auditor)"));
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await assertAccessible(page, "signed in");
  }, { width: 320, height: 640 }));

for (const language of ["en", "zh-CN"]) {
  for (const theme of /** @type {const} */ (["light", "dark"])) {
    test(`axe-core finds nothing in the form, and nothing is cut off (${language}, ${theme})`, () =>
      onProtected(async (page) => {
        await assertAccessible(page, "form");
        await signIn(page, " ");
        await assertAccessible(page, "refused");
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
      }, { language, theme, width: 320, height: 640 }));
  }
}

test("a service that tells its state to nobody unknown is looked at after the sign-in", () =>
  onProtected(async (page, guard) => {
    const body = JSON.stringify({ type: "urn:faceood:problem:unauthenticated", title: "", status: 401, detail: "", request_id: "r" });
    await page.route("**/readyz", (route) => guard.session ? route.continue() : route.fulfill({ status: 401, body }));
    await page.reload();
    await page.waitForSelector("#state[data-state=locked] >> text=Sign in to see the state");
    await signIn(page);
    await page.waitForSelector("#state[data-state=ready]");
  }));

test("the form is reached by keyboard, after what stands above it", () =>
  onProtected(async (page) => {
    const stops = [];
    for (const key of ["Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab"]) {
      await page.keyboard.press(key);
      stops.push(await page.evaluate(() => document.activeElement?.id || document.activeElement?.textContent));
    }
    assert.deepEqual(stops, ["Sign in", "token", "API documentation", "language"]);
  }));
