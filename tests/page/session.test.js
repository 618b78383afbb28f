// @ts-check
// Signing in to a protected daemon, out of it, and what happens when a session ends. Scripted are only answers that the daemon
// does not give, or not here.
import assert from "node:assert/strict";
import { test } from "node:test";
import { assertAccessible, choose, onPage, protectedService } from "./support/browser.js";
import { ASTRONAUT, until } from "./support/daemon.js";

/** @typedef {import("playwright-core").Page} Page */

const ROLES = { "front-desk": "operator", "night-shift": "admin", visitor: "operator", "gate-3": "terminal" };
const { daemon, tokens, browser } = await protectedService("", ROLES);
const TOKEN = tokens["front-desk"];

/**
 * The page of the daemon on the network, on which nobody is signed in.
 * @param {(page: Page) => Promise<void>} act
 * @param {import("./support/browser.js").Look} [look]
 */
const onProtected = (act, look) => onPage(browser, daemon.network, async (page) => {
  await page.waitForSelector("#sign-in");
  await act(page);
}, look);

/** The same with the operator signed in. @param {(page: Page) => Promise<void>} act @param {import("./support/browser.js").Look} [look] */
const onSignedIn = (act, look) => onProtected(async (page) => {
  await signIn(page);
  await page.waitForSelector("#functions");
  await act(page);
}, look);

/** @param {Page} page @param {string} [token] */
async function signIn(page, token = TOKEN) {
  await page.fill("#token", token);
  await page.keyboard.press("Enter");
}

/** @param {Page} page @param {RegExp} words */
const said = (page, words) => page.waitForFunction((source) =>
  new RegExp(source).test(document.querySelector("#session-note")?.textContent ?? ""), words.source);

/** Ends the session as another tab would. @param {Page} page */
const endElsewhere = (page) => page.context().request.delete(`${daemon.network}/session`);

/** @param {Page} page */
const focused = (page) => page.evaluate(() => document.activeElement?.id);

/** @param {Page} page */
const fits = (page) => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);

/** The cookie of the session. @param {Page} page */
const cookie = async (page) => (await page.context().cookies()).find(({ name }) => name === "faceood_session");

test("an open service, or one that knows no sign-in, shows nothing of it", () =>
  onPage(browser, daemon.address, async (page) => {
    for (const answer of [undefined, { status: 404, json: { type: "urn:faceood:problem:not_found" } }, { status: 200, body: "<!doctype html>" }]) {
      if (answer) await page.route("**/session", (route) => route.fulfill(answer));
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
    onProtected(async (page) => {
      assert.equal(await page.textContent("#sign-in h2"), title);
      assert.equal(await page.isVisible("#functions"), false);
      assert.equal(await focused(page), "token");
      assert.equal(await page.getAttribute("#token", "type"), "password");
      assert.equal(await page.getAttribute("#token", "autocomplete"), "current-password");
      await signIn(page, ` ${TOKEN}\n`);
      await page.waitForSelector("#functions");
      assert.equal(await page.textContent("#who"), who);
      assert.equal(await page.isVisible("#sign-in"), false);
      assert.equal(await focused(page), "tab-compare");
      await page.waitForSelector("#facts span");
      await choose(page, "compare", ASTRONAUT, ASTRONAUT);
      await page.waitForSelector("#compare .verdict.same");
      await choose(page, "extract", ASTRONAUT);
      await page.waitForSelector("#extract .face");
      await assertAccessible(page, "signed in");

      const kept = await page.evaluate(() => JSON.stringify([
        { ...localStorage }, { ...sessionStorage }, location.href, document.cookie, new XMLSerializer().serializeToString(document),
        [...document.querySelectorAll("input")].map((input) => input.value),
      ]));
      const { httpOnly, secure, sameSite, value = "" } = await cookie(page) ?? {};
      assert.deepEqual({ httpOnly, secure, sameSite }, { httpOnly: true, secure: true, sameSite: "Strict" });
      for (const secret of [TOKEN, value]) assert.ok(secret && !kept.includes(secret), "a script can read it");
    }, { language }));
}

for (const [language, title, link, detail] of [
  ["en", "Please sign in", "Sign in", "for operators and administrators"], ["zh-CN", "请登录", "登录", "操作员和管理员"],
]) {
  test(`whoever opens the recent captures without a session is led to the sign-in (${language})`, () =>
    onProtected(async (page) => {
      const captures = `${daemon.network}/v1/inferences`;
      const answer = await page.goto(captures);
      assert.equal(answer?.status(), 401);
      assert.equal(await page.textContent("h1"), title);
      assert.ok((await page.textContent("main"))?.includes(detail), await page.textContent("main") ?? "");
      assert.ok(await fits(page), "nothing overflows");
      await page.click(`text="${link}"`);
      await page.waitForSelector("#sign-in");
      await signIn(page);
      await page.waitForSelector("#functions");
      assert.equal((await page.goto(captures))?.status(), 200);
      const json = await page.context().request.get(`${captures}?limit=0`, { headers: { Accept: "application/json" } });
      assert.match(json.headers()["content-type"] ?? "", /^application\/problem\+json/);
    }, { language, width: 320, height: 640 }));
}

test("a token that is wrong, or not for the page, is told with what to do, in either language", () =>
  onProtected(async (page) => {
    for (const [token, isWrong, ...words] of /** @type {[string, boolean, RegExp, RegExp][]} */ ([
      ["fod_wrong", true, /does not accept this token\. Check that it is complete/, /服务不接受此令牌/],
      [tokens["gate-3"], false, /use a token with the role operator or admin/, /此令牌无权使用本页面/],
    ])) {
      await signIn(page, token);
      await said(page, words[0]);
      assert.equal(await page.isVisible("#functions"), false);
      assert.equal(await page.getAttribute("#token", "aria-invalid"), String(isWrong));
      assert.equal(await focused(page), "token");
      await assertAccessible(page, "refused");
      await page.click("#language");
      await said(page, words[1]);
      await assertAccessible(page, "refused, in Chinese");
      await page.click("#language");
    }
    assert.equal(await cookie(page), undefined);
    await signIn(page);
    await page.waitForSelector("#functions");
    assert.equal(await page.textContent("#session-note"), "");
  }));

test("an empty field, a service that fails or is gone, and a browser that keeps no cookie are told apart", () =>
  onProtected(async (page) => {
    await signIn(page, "  ");
    await said(page, /enter your access token/);
    await page.route("**/session", (route) => route.fulfill({ status: 500 }), { times: 1 });
    await signIn(page);
    await said(page, /status 500.*tell the administrator/);
    await page.route("**/session", (route) => route.abort(), { times: 1 });
    await signIn(page);
    await said(page, /does not answer/);
    await page.route("**/session", (route) => route.fulfill({ status: 204 }), { times: 1 });
    await signIn(page);
    await said(page, /allow cookies/);
  }));

test("a session that ends in the middle keeps the pictures, and the answer comes after the next sign-in", () =>
  onSignedIn(async (page) => {
    await choose(page, "compare", ASTRONAUT);
    await endElsewhere(page);
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

test("a revoked token signs the page out, and whoever signs in next does not see the pictures of somebody else", () =>
  onProtected(async (page) => {
    await signIn(page, tokens.visitor);
    await page.waitForSelector("#functions");
    await choose(page, "compare", ASTRONAUT);
    await daemon.admin("token", "revoke", "visitor");
    await until(async () => (await page.context().request.get(`${daemon.network}/v1/info`)).status() === 401);
    await page.locator("#compare input[type=file]").nth(1).setInputFiles(ASTRONAUT);
    await page.waitForSelector("#sign-in");
    await signIn(page, tokens.visitor);
    await said(page, /expired or was revoked/);
    await signIn(page, tokens["night-shift"]);
    await page.waitForSelector("#functions");
    assert.equal(await page.textContent("#who"), "Signed in as night-shift (administrator)");
    assert.equal(await page.locator(".slot.filled").count(), 0);
  }));

test("the camera closes when the session ends, and the form has the focus", () =>
  onSignedIn(async (page) => {
    await page.locator("#compare .camera").first().click();
    await page.waitForSelector("dialog[open]");
    await endElsewhere(page);
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await page.waitForSelector("#sign-in");
    assert.equal(await page.isVisible("dialog"), false);
    assert.equal(await focused(page), "token");
  }));

test("signing out removes the pictures and ends the session; where that fails it is said", () =>
  onSignedIn(async (page) => {
    await choose(page, "compare", ASTRONAUT, ASTRONAUT);
    await page.waitForSelector("#compare .verdict.same");
    const old = await cookie(page);
    await page.route("**/session", (route) => route.abort(), { times: 1 });
    await page.click("#sign-out");
    await page.waitForSelector("#session-note >> text=Signing out did not work");
    assert.equal(await page.isVisible("#functions"), true);
    await page.click("#sign-out");
    await page.waitForSelector("#sign-in");
    assert.match(await page.textContent("#session-note") ?? "", /^You have signed out/);
    assert.equal(await page.locator(".slot.filled, .verdict").count(), 0);
    assert.equal(await page.textContent("#said"), "");
    assert.equal(await page.textContent("#who"), "");
    assert.equal(await focused(page), "token");
    assert.equal(await cookie(page), undefined);
    // Who has kept the cookie has nothing of it.
    if (old) await page.context().addCookies([old]);
    assert.equal((await page.context().request.get(`${daemon.network}/v1/info`)).status(), 401);
    await page.reload();
    await page.waitForSelector("#sign-in");
  }));

test("what a role may not do, and too many requests, are told with what to do", () =>
  onSignedIn(async (page) => {
    const refuse = (/** @type {number} */ status, /** @type {string} */ code) => page.route("**/v1/**", (route) => route.fulfill({
      status,
      headers: { "Retry-After": "90" },
      contentType: "application/problem+json",
      body: JSON.stringify({ type: `urn:faceood:problem:${code}`, title: "", status, detail: `the service says ${code}`, request_id: "r" }),
    }));
    await refuse(403, "forbidden");
    await choose(page, "extract", ASTRONAUT);
    await page.waitForSelector("#extract .failure >> text=The service says forbidden.");
    assert.match(await page.textContent("#extract .failure") ?? "", /Sign in with another token, or ask the administrator/);
    await refuse(429, "rate_limited");
    await choose(page, "compare", ASTRONAUT, ASTRONAUT);
    await page.waitForSelector("#compare .failure >> text=Please wait 90 s, then try again.");
    await page.unroute("**/v1/**");
    await page.click("#compare .failure button");
    await page.waitForSelector("#compare .verdict.same");
  }));

test("a name and a role of any length fit a phone, and markup in them is text", () =>
  onProtected(async (page) => {
    const json = { protected: true, name: `<b>${"gate".repeat(15)}</b>`, role: "auditor" };
    await page.route("**/session", (route) => route.request().method() === "GET" ? route.fulfill({ json }) : route.continue());
    await signIn(page);
    await page.waitForSelector("#functions");
    assert.ok((await page.textContent("#who"))?.endsWith("</b> (auditor)"));
    assert.ok(await fits(page));
    await assertAccessible(page, "signed in");
  }, { width: 320, height: 640 }));

for (const language of ["en", "zh-CN"]) {
  for (const theme of /** @type {const} */ (["light", "dark"])) {
    test(`axe-core finds nothing in the form, and nothing is cut off (${language}, ${theme})`, () =>
      onProtected(async (page) => {
        await assertAccessible(page, "form");
        await signIn(page, " ");
        await assertAccessible(page, "refused");
        assert.ok(await fits(page));
      }, { language, theme, width: 320, height: 640 }));
  }
}

test("a service that tells its state to nobody unknown is looked at after the sign-in", () =>
  onProtected(async (page) => {
    const body = JSON.stringify({ type: "urn:faceood:problem:unauthenticated", title: "", status: 401, detail: "", request_id: "r" });
    await page.route("**/readyz", async (route) => await cookie(page) ? route.continue() : route.fulfill({ status: 401, body }));
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

// Last, because the daemon then takes no more tokens from this machine for five minutes.
test("after too many wrong tokens it is said how long to wait", () =>
  onProtected(async (page) => {
    const wrong = { headers: { Authorization: "Bearer fod_wrong" } };
    await Promise.all(Array.from({ length: 10 }, () => page.context().request.get(`${daemon.network}/v1/info`, wrong)));
    await signIn(page);
    await said(page, /try again in 5 min/);
    await assertAccessible(page, "blocked");
    await page.click("#language");
    await said(page, /请在 5 分钟后重试/);
  }));
