// @ts-check
// Languages, themes, sizes, keyboard, and what axe-core has to say.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { assertAccessible, choose, onPage, service, worsened } from "./support/browser.js";
import { ASTRONAUT, SOMEBODY_ELSE } from "./support/daemon.js";

/** @typedef {import("playwright-core").Page} Page */

const { daemon, browser } = await service();
const blurred = { name: "blurred.jpg", mimeType: "image/jpeg", buffer: await worsened(browser, await readFile(ASTRONAUT), "blur(7px)") };

/** Each state of the page, one after the other. @param {Page} page @param {(state: string) => Promise<void>} look */
async function everyState(page, look) {
  await look("empty");
  await choose(page, "compare", ASTRONAUT, ASTRONAUT);
  await page.waitForSelector("#compare .verdict.same");
  await look("same");
  await choose(page, "compare", SOMEBODY_ELSE);
  await page.waitForSelector("#compare .verdict.different");
  await look("different");
  await choose(page, "compare", blurred);
  await page.waitForSelector("#compare .verdict.untrusted");
  await look("untrusted");
  await choose(page, "extract", ASTRONAUT);
  await page.waitForSelector("#extract .face");
  await look("extracted");
  await choose(page, "extract", { name: "x.jpg", mimeType: "image/jpeg", buffer: Buffer.from("no picture") });
  await page.waitForSelector("#extract .failure strong");
  await look("failed");
  await page.click("#extract .camera");
  await page.waitForSelector("#camera .hint[data-action=reject]");
  await look("camera");
}

for (const language of ["en", "zh-CN"]) {
  for (const theme of /** @type {const} */ (["light", "dark"])) {
    test(`axe-core finds nothing in any state (${language}, ${theme})`, () =>
      onPage(browser, daemon.address, (page) =>
        everyState(page, (state) => assertAccessible(page, state)), { language, theme }));
  }
}

for (const width of [320, 3840]) {
  test(`nothing is cut off at ${width} px`, () =>
    onPage(browser, daemon.address, (page) => everyState(page, async (state) => {
      const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(beyond <= 0, `${state}: ${beyond} px too wide`);
    }), { width, height: width === 320 ? 640 : 2160, language: "zh-CN" }));
}

test("the language follows the browser, is switched without losing the answer, and is remembered", () =>
  onPage(browser, daemon.address, async (page) => {
    assert.equal(await page.getAttribute("html", "lang"), "zh");
    assert.equal(await page.textContent("#tab-compare"), "比对");
    await choose(page, "compare", blurred, ASTRONAUT);
    await page.waitForSelector("#compare .verdict >> text=不作判断");
    let asked = 0;
    page.on("request", (request) => { asked += Number(request.url().includes("/v1/compare")); });
    await page.click("#language");
    await page.waitForSelector("#compare .verdict >> text=No verdict");
    assert.equal(await page.getAttribute("html", "lang"), "en");
    assert.equal(await page.textContent("#tab-compare"), "Compare");
    assert.equal(await page.textContent("#language"), "中文");
    const words = (await page.textContent("body") ?? "").replace("中文", "").replace(await page.textContent("#known") ?? "", "");
    assert.doesNotMatch(words, /[\u4e00-\u9fff]/, "no word is left in the other language");
    assert.equal(asked, 0, "what has been answered is not asked again");
    await page.reload();
    assert.equal(await page.getAttribute("html", "lang"), "en");
  }, { language: "zh-CN" }));

for (const [name, pictures, what] of /** @type {const} */ ([["compare", [ASTRONAUT, ASTRONAUT], ".verdict"], ["extract", [ASTRONAUT], ".answer .card"]])) {
  test(`on a phone what ${name} answers comes into view by itself`, () =>
    onPage(browser, daemon.address, async (page) => {
      await choose(page, name, ...pictures);
      await page.waitForFunction((selector) => {
        const place = document.querySelector(selector)?.getBoundingClientRect();
        return place && place.top >= -1 && place.bottom <= innerHeight + 1;
      }, `#${name} ${what}`);
    }, { width: 390, height: 700 }));
}

test("everything is reached by keyboard, in the order in which it is read", () =>
  onPage(browser, daemon.address, async (page) => {
    const stops = [];
    for (let pressed = 0; pressed < 8; pressed++) {
      await page.keyboard.press("Tab");
      stops.push(await page.evaluate(() => {
        const found = /** @type {HTMLElement} */ (document.activeElement);
        return found.getAttribute("aria-label") ?? found.textContent;
      }));
    }
    assert.deepEqual(stops, [
      "中文", "Recent captures", "API documentation", "Compare", "Choose a file: Picture in question", "Camera: Picture in question",
      "Choose a file: Reference picture", "Camera: Reference picture",
    ]);
    await page.focus("#tab-compare");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.isVisible("#extract"), true);
    assert.equal(await page.evaluate(() => document.activeElement?.id), "tab-extract");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.isVisible("#compare"), true);
  }));

test("those who hear the page are told the verdict, and nothing turns for those who want no motion", () =>
  onPage(browser, daemon.address, async (page) => {
    await choose(page, "compare", ASTRONAUT, ASTRONAUT);
    await page.waitForFunction(() => document.querySelector("#said")?.textContent?.startsWith("Same person. Similarity 1.00"));
    const turning = await page.evaluate(() => {
      document.querySelector("#compare")?.classList.add("busy");
      return getComputedStyle(/** @type {Element} */ (document.querySelector("#compare .answer")), "::before").animationName;
    });
    assert.equal(turning, "none");
  }, { reducedMotion: "reduce" }));
