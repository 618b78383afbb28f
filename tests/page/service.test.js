// @ts-check
// The page and its service: what the strip says, and how the page goes on when the service goes and comes back.
import assert from "node:assert/strict";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { assertAccessible, choose, onPage, service } from "./support/browser.js";
import { ASTRONAUT } from "./support/daemon.js";

const { daemon, browser } = await service();

test("the strip says provider and pack, and links to the documentation that is there", () =>
  onPage(browser, daemon.address, async (page) => {
    const info = await (await fetch(`${daemon.address}/v1/info`)).json();
    const said = await page.textContent("#strip") ?? "";
    for (const expected of ["Ready", info.provider.name, info.pack.name, info.pack.version]) assert.ok(said.includes(expected), said);
    const links = await page.locator("#strip a:visible").evaluateAll((found) => found.map((link) => /** @type {HTMLAnchorElement} */ (link).href));
    assert.deepEqual(links, [`${daemon.address}/v1/inferences`, `${daemon.address}/docs`]);
    for (const link of links) assert.equal((await fetch(link)).status, 200);
    await page.goto(links[1]);
    await page.click("nav a");
    assert.equal(page.url(), `${daemon.address}/`);
    await page.waitForSelector("#state[data-state=ready]");
  }));

for (const language of ["en", "zh-CN"]) {
  test(`recent captures are a plain table with reasons and ids (${language})`, async () => {
    const answer = await fetch(`${daemon.address}/v1/extract?source=${encodeURIComponent("gate-7")}`, {
      method: "POST", headers: { "Content-Type": "image/jpeg", "X-Request-Id": "recent-1" }, body: await readFile(ASTRONAUT),
    });
    assert.equal(answer.status, 200);
    await answer.text();
    await onPage(browser, daemon.address, async (page) => {
      await page.click("#recent");
      const first = await page.locator("tbody tr").first().textContent() ?? "";
      for (const expected of ["gate-7", "extract", "access", "faceood-admin explain recent-1", language === "en" ? "accept" : "通过"]) assert.ok(first.includes(expected), first);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing overflows");
      await page.click("nav a");
      await page.waitForSelector("#state[data-state=ready]");
    }, { language, width: 320, height: 640 });
    // Where it is served, no script may run, and axe-core is one.
    const table = await fetch(`${daemon.address}/v1/inferences`, { headers: { Accept: "text/html", "Accept-Language": language } });
    const page = await browser.newPage();
    await page.setContent(await table.text());
    await assertAccessible(page, "recent captures");
    await page.close();
  });
}

test("the latest report is linked to once there is one", async () => {
  const missing = `${daemon.address}/reports/latest`;
  assert.match((await fetch(missing)).headers.get("content-type") ?? "", /^application\/problem\+json/);
  await onPage(browser, daemon.address, async (page) => {
    await page.goto(missing);
    assert.match(await page.textContent("main") ?? "", /no weekly report has been written yet: sudo systemctl start faceood-report/);
    await page.click("main a");
    await page.waitForSelector("#state[data-state=ready]");
  });
  await mkdir(join(daemon.folder, "reports"));
  await writeFile(join(daemon.folder, "reports/2026-01-05.html"), "<!doctype html><title>old</title>");
  await writeFile(join(daemon.folder, "reports/2026-01-12.html"), "<!doctype html><title>new</title>");
  await onPage(browser, daemon.address, async (page) => {
    await page.click("#report");
    assert.equal(await page.title(), "new");
    await page.goBack();
  });
});

test("a service that is not ready says why", () =>
  onPage(browser, daemon.address, async (page) => {
    await page.route("**/readyz", (route) => route.fulfill({
      status: 503,
      contentType: "application/problem+json",
      body: JSON.stringify({ type: "urn:faceood:problem:not_ready", title: "", status: 503, detail: "the queue is full", request_id: "r" }),
    }));
    await page.reload();
    await page.waitForSelector("#state[data-state=not_ready] >> text=Not ready: the queue is full");
    await page.unroute("**/readyz");
    await page.waitForSelector("#state[data-state=ready]");
  }));

test("the daemon is killed while a picture is asked about; when it is back the answer comes by itself", () =>
  onPage(browser, daemon.address, async (page) => {
    await choose(page, "compare", ASTRONAUT);
    await daemon.kill();
    await page.locator("#compare input[type=file]").nth(1).setInputFiles(ASTRONAUT);
    await page.waitForSelector("#compare .failure >> text=The service does not answer.");
    await page.waitForSelector("#compare .failure >> text=It is tried again as soon as the service is ready.");
    await page.waitForSelector("#state[data-state=gone]");
    await daemon.again();
    await page.waitForSelector("#state[data-state=ready]");
    await page.waitForSelector("#compare .verdict.same");
    assert.equal(await page.textContent("#compare .failure"), "");
  }));

test("the page's rows in the log are told apart", async () => {
  const rows = await (await fetch(`${daemon.address}/v1/inferences?source=page&limit=1`)).json();
  assert.equal(rows.inferences.length, 1);
});

test("all of the page is at most 150 kB", () =>
  onPage(browser, daemon.address, async (page) => {
    /** @type {Promise<number>[]} */
    const sizes = [];
    page.on("response", (response) => {
      if (/\/(page\/.*)?$/.test(new URL(response.url()).pathname)) sizes.push(response.body().then((body) => body.length));
    });
    await page.reload({ waitUntil: "networkidle" });
    const total = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
    assert.ok(sizes.length > 10 && total <= 150_000, `${sizes.length} files, ${total} bytes`);
  }));
