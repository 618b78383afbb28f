// @ts-check
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { dialogOf, launch, launchWithCamera, onPage, worsened } from "./support/browser.js";
import { ASTRONAUT, Daemon } from "./support/daemon.js";

/** @type {Daemon} */
let daemon;
/** @type {string} */
let folder;
before(async () => {
  daemon = await Daemon.start();
  folder = await mkdtemp(join(tmpdir(), "faceood-film-"));
});
after(async () => {
  await daemon?.stop();
  await rm(folder, { recursive: true, force: true });
});

/**
 * A browser whose camera shows the astronaut through this filter.
 * @param {string} filter
 */
async function filming(filter) {
  const plain = await launch();
  const frame = await worsened(plain, await readFile(ASTRONAUT), filter);
  await plain.close();
  const film = join(folder, `${filter.replace(/\W/g, "")}.mjpeg`);
  await writeFile(film, Buffer.concat(Array(30).fill(frame)));
  return launchWithCamera(film);
}

test("a picture is taken after the page has said that it is good", async (context) => {
  const browser = await filming("brightness(1)");
  // Also where the test fails: an open browser would hold the run up.
  context.after(() => browser.close());
  await onPage(browser, daemon.address, async (page) => {
    await page.click("#tab-extract");
    await page.click("#extract .camera");
    await page.waitForSelector("#camera .hint[data-text=camera_good]");
    assert.equal(await page.locator("#camera .overlay .point").count(), 5);
    await page.click("#camera .shoot");
    await page.waitForSelector("#extract .face");
    assert.equal(await page.isVisible("dialog"), false);
    assert.equal(await page.getAttribute("#extract .photo", "alt"), "Picture: camera.jpg");
    // The camera is let go: its light goes out.
    assert.equal(await page.evaluate(() => document.querySelector("video")?.srcObject), null);
  });
});

test("what to do is said before the picture is taken, in the reader's language", async (context) => {
  const browser = await filming("brightness(0.12)");
  context.after(() => browser.close());
  await onPage(browser, daemon.address, async (page) => {
    await page.locator("#compare .camera").first().click();
    await page.waitForSelector("#camera .hint[data-text=hint_more_light]");
    assert.match(await page.textContent("#camera .hint") ?? "", /光线不足/);
    const asked = () => page.evaluate(() => performance.getEntriesByType("resource")
      .filter(({ name }) => name.includes("/v1/quality")).map(({ startTime }) => startTime));
    while ((await asked()).length < 6) await page.waitForRequest(/v1\/quality/);
    const times = await asked();
    // Three times a second at most; the browser blurs its clock a little.
    for (const [index, time] of times.slice(1).entries()) assert.ok(time - times[index] >= 330, String(times));
    await page.keyboard.press("Escape");
    await page.waitForSelector("dialog", { state: "hidden" });
    assert.equal(await page.locator(".slot.filled").count(), 0);
  }, { language: "zh-CN" });
});

test("a camera that is not there is explained", async (context) => {
  const browser = await launch();
  context.after(() => browser.close());
  await onPage(browser, daemon.address, async (page) => {
    await page.locator("#compare .camera").first().click();
    await page.waitForSelector("#camera .hint[data-text^=camera_][data-action=reject]");
    assert.match(await page.textContent("#camera .hint") ?? "", /choose a file|another program/);
    assert.equal(await page.isDisabled("#camera .shoot"), true);
  });
});

test("where the browser gives no camera to a page, the phone's own app takes the picture", async (context) => {
  const browser = await launch();
  context.after(() => browser.close());
  await onPage(browser, daemon.address, async (page) => {
    await page.evaluate(() => { delete /** @type {any} */ (Navigator.prototype).mediaDevices; });
    const chooser = await dialogOf(page, () => page.locator("#compare .camera").first().click());
    assert.equal(await chooser.element().getAttribute("capture"), "user");
    await chooser.setFiles(ASTRONAUT);
    await page.waitForSelector("#compare .slot:nth-child(1).filled");
  });
});
