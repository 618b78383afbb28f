// @ts-check
// node screenshots.js FOLDER: pictures of the page for the documentation. Only the one photo that is free shows a face.
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { choose, launch, launchWithCamera, onPage, worsened } from "./support/browser.js";
import { ASTRONAUT, Daemon } from "./support/daemon.js";

const folder = process.argv[2];
if (!folder) throw new Error("usage: node screenshots.js FOLDER");
await mkdir(folder, { recursive: true });

const daemon = await Daemon.start();
const browser = await launch();
const photo = await readFile(ASTRONAUT);
const film = await mkdtemp(join(tmpdir(), "faceood-film-"));

/** @param {string} filter @param {number} [scale] */
const worse = async (filter, scale) =>
  ({ name: "gate-3.jpg", mimeType: "image/jpeg", buffer: await worsened(browser, photo, filter, scale) });

/**
 * @param {import("playwright-core").Page} page
 * @param {string} name
 * @param {number} [height] of the upper part that is shown; all of it by default
 */
const save = async (page, name, height) => {
  await page.mouse.move(0, 0);
  await page.evaluate(() => /** @type {HTMLElement | null} */ (document.activeElement)?.blur());
  const width = page.viewportSize()?.width ?? 0;
  const part = height ? { clip: { x: 0, y: 0, width, height } } : {};
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true, ...part });
};

await onPage(browser, daemon.address, async (page) => {
  await choose(page, "compare", await worse("brightness(.85) blur(.8px)"), ASTRONAUT);
  await page.waitForSelector(".verdict.same");
  await save(page, "compare-same");
}, { width: 1080 });
await onPage(browser, daemon.address, async (page) => {
  await choose(page, "compare", await worse("blur(6px)"), ASTRONAUT);
  await page.waitForSelector(".verdict.untrusted");
  await save(page, "compare-untrusted");
}, { width: 1080 });
await onPage(browser, daemon.address, async (page) => {
  await choose(page, "compare", await worse("blur(6px)"), ASTRONAUT);
  await page.waitForSelector(".verdict.untrusted");
  await save(page, "compare-untrusted-zh-dark");
}, { width: 1080, language: "zh-CN", theme: "dark" });
await onPage(browser, daemon.address, async (page) => {
  await choose(page, "extract", ASTRONAUT);
  await page.waitForSelector("#extract .face");
  await save(page, "extract", 1500);
}, { width: 1080 });
await onPage(browser, daemon.address, async (page) => {
  await choose(page, "extract", ASTRONAUT);
  await page.waitForSelector("#extract .face");
  await save(page, "phone-zh", 1100);
}, { width: 390, height: 844, language: "zh-CN" });

await writeFile(join(film, "dark.mjpeg"), Buffer.concat(Array(30).fill((await worse("brightness(.12)")).buffer)));
const camera = await launchWithCamera(join(film, "dark.mjpeg"));
await onPage(camera, daemon.address, async (page) => {
  await page.locator("#compare .camera").first().click();
  await page.waitForSelector("#camera .hint[data-text=hint_more_light]");
  await page.screenshot({ path: join(folder, "camera.png") });
}, { width: 900, height: 760 });

await camera.close();
await browser.close();
await daemon.stop();
await rm(film, { recursive: true });
