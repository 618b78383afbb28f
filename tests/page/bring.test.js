// @ts-check
// How pictures come in, and what is said of those that are none.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { choose, dialogOf, onPage, service } from "./support/browser.js";
import { ASTRONAUT } from "./support/daemon.js";

const { daemon, browser } = await service();
const photo = await readFile(ASTRONAUT, "base64");

/**
 * Drops or pastes files, as the system would.
 * @param {import("playwright-core").Page} page
 * @param {"drop" | "paste"} kind
 * @param {string} target
 * @param {{name: string, type: string, base64: string}[]} files
 */
const bring = (page, kind, target, files) => page.evaluate(([kind, target, files]) => {
  const transfer = new DataTransfer();
  for (const { name, type, base64 } of files) {
    const bytes = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type }));
  }
  const common = { bubbles: true, cancelable: true };
  const event = kind === "drop"
    ? new DragEvent("drop", { ...common, dataTransfer: transfer })
    : new ClipboardEvent("paste", { ...common, clipboardData: transfer });
  document.querySelector(target)?.dispatchEvent(event);
}, /** @type {const} */ ([kind, target, files]));

const jpeg = () => ({ name: "astronaut.jpg", type: "image/jpeg", base64: photo });

test("a picture is dropped on its place", () =>
  onPage(browser, daemon.address, async (page) => {
    await bring(page, "drop", "#compare .slot:nth-child(2) .stage", [jpeg()]);
    await page.waitForSelector("#compare .slot:nth-child(2).filled .photo[alt='Reference picture: astronaut.jpg']");
    assert.equal(await page.locator("#compare .slot.filled").count(), 1);
    await bring(page, "drop", "#compare .slot:nth-child(1) .stage", [jpeg()]);
    await page.waitForSelector("#compare .verdict.same");
  }));

test("two pictures dropped at once, beside the places, are compared", () =>
  onPage(browser, daemon.address, async (page) => {
    await bring(page, "drop", "header", [jpeg(), jpeg()]);
    await page.waitForSelector("#compare .verdict.same");
  }));

test("pictures are pasted, into the first place that is free", () =>
  onPage(browser, daemon.address, async (page) => {
    await bring(page, "paste", "body", [jpeg()]);
    await page.waitForSelector("#compare .slot:nth-child(1).filled");
    await bring(page, "paste", "body", [jpeg()]);
    await page.waitForSelector("#compare .verdict.same");
    await page.click("#tab-extract");
    await bring(page, "paste", "body", [jpeg()]);
    await page.waitForSelector("#extract .face");
  }));

test("the file dialog opens by keyboard", () =>
  onPage(browser, daemon.address, async (page) => {
    await page.locator("#compare .choose").first().focus();
    const chooser = await dialogOf(page, () => page.keyboard.press("Enter"));
    await chooser.setFiles(ASTRONAUT);
    await page.waitForSelector("#compare .slot:nth-child(1).filled");
  }));

test("what is no picture is refused where it is dropped", () =>
  onPage(browser, daemon.address, async (page) => {
    await bring(page, "drop", "#compare .slot:nth-child(1) .stage", [{ name: "a.pdf", type: "application/pdf", base64: "" }]);
    await page.waitForSelector("#compare .slot:nth-child(1) .note >> text=That is no picture");
    assert.equal(await page.locator("#compare .slot.filled").count(), 0);
  }));

const HEIC_HEAD = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from("ftypheic"), Buffer.alloc(12)]);
const avif = Buffer.concat([Buffer.from([0, 0, 0, 24]), Buffer.from("ftypavif"), Buffer.alloc(64)]);
const brokenJpeg = Buffer.from("ffd8ffe000104a46494600010100000100010000", "hex");
const onePixel = Buffer.from("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64");
for (const [what, language, buffer, expected] of /** @type {const} */ ([
  ["AVIF", "en", avif, /AVIF; .*JPEG/],
  ["AVIF", "zh-CN", avif, /AVIF.*JPEG/],
  ["a broken JPEG", "en", brokenJpeg, /The JPEG file ends early: .* send it again\./],
  ["a broken JPEG", "zh-CN", brokenJpeg, /JPEG 文件不完整：/],
  ["no face", "en", onePixel, /face/],
  ["no face", "zh-CN", onePixel, /1×1 像素的图片中未检测到人脸/],
  ["more bytes than are allowed", "en", Buffer.alloc(20_000_001, 1), /20.?000.?000|20 MB/],
  ["more bytes than are allowed", "zh-CN", Buffer.alloc(20_000_001, 1), /20000000 字节的上限/],
])) {
  test(`${what} is explained in words (${language}), with the request's name`, () =>
    onPage(browser, daemon.address, async (page) => {
      const answered = page.waitForResponse((response) => response.url().includes("/v1/extract"));
      await choose(page, "extract", { name: "picture.jpg", mimeType: "image/jpeg", buffer });
      const response = await answered;
      assert.ok(response.status() >= 400, String(response.status()));
      await page.waitForSelector("#extract .failure strong");
      const said = await page.textContent("#extract .failure") ?? "";
      assert.match(said, expected);
      // All of it in one language.
      assert.equal(await page.locator("#extract .failure [lang=en]").count(), 0, said);
      assert.ok(said.includes(response.headers()["x-request-id"]), said);
      assert.doesNotMatch(await page.textContent("#extract .note") ?? "", /all the same|仍可能/, "nothing stands against it");
    }, { language }));
}

test("the side that is at fault is named", () =>
  onPage(browser, daemon.address, async (page) => {
    await choose(page, "compare", ASTRONAUT, { name: "x.avif", mimeType: "image/avif", buffer: avif });
    await page.waitForSelector("#compare .failure strong");
    assert.match(await page.textContent("#compare .failure") ?? "", /Reference picture: This is AVIF/);
  }));

for (const [language, expected] of /** @type {const} */ ([["en", /Save it as JPEG: on an iPhone/], ["zh-CN", /另存为 JPEG：iPhone/]])) {
  test(`HEIC that the browser cannot read is not sent; the page says how to save it (${language})`, () =>
    onPage(browser, daemon.address, async (page) => {
      let isAsked = false;
      page.on("request", (request) => { isAsked ||= request.url().includes("/v1/extract"); });
      await choose(page, "extract", { name: "IMG_1.HEIC", mimeType: "image/heic", buffer: HEIC_HEAD });
      await page.waitForFunction(() => document.querySelector("#extract .note")?.textContent !== "");
      assert.match(await page.textContent("#extract .note") ?? "", expected);
      assert.ok(!isAsked && await page.locator("#extract .slot.filled").count() === 0);
      // The next picture takes its place, and the word with it.
      await choose(page, "extract", ASTRONAUT);
      await page.waitForSelector("#extract .face");
      assert.equal(await page.textContent("#extract .note"), "");
    }, { language }));
}

test("two pictures that come while the first is being converted fill both places", () =>
  onPage(browser, daemon.address, async (page) => {
    await page.evaluate((head) => {
      const real = window.createImageBitmap;
      window.createImageBitmap = /** @type {any} */ (async (/** @type {Blob} */ file) => {
        await new Promise((resolve) => { setTimeout(resolve, 300); });
        return real(file.slice(head));
      });
    }, HEIC_HEAD.length);
    const base64 = Buffer.concat([HEIC_HEAD, await readFile(ASTRONAUT)]).toString("base64");
    for (const name of ["1.heic", "2.heic"]) await bring(page, "paste", "body", [{ name, type: "image/heic", base64 }]);
    await page.waitForSelector("#compare .verdict");
    assert.equal(await page.locator("#compare .slot.filled").count(), 2);
  }));

test("HEIC that the browser can read is sent as a JPEG, and the page says so", () =>
  onPage(browser, daemon.address, async (page) => {
    // As Safari, which reads HEIC; this Chromium does not.
    await page.evaluate((head) => {
      const real = window.createImageBitmap;
      window.createImageBitmap = /** @type {any} */ ((/** @type {Blob} */ file) => real(file.slice(head)));
    }, HEIC_HEAD.length);
    const answered = page.waitForResponse((response) => response.url().includes("/v1/extract"));
    const buffer = Buffer.concat([HEIC_HEAD, await readFile(ASTRONAUT)]);
    await choose(page, "extract", { name: "IMG_1.HEIC", mimeType: "image/heic", buffer });
    const answer = await (await answered).json();
    assert.equal(answer.image.format, "jpeg");
    assert.ok(answer.faces[0].quality.score > 0.6, JSON.stringify(answer.faces[0].quality));
    assert.match(await page.textContent("#extract .note") ?? "", /sent as a JPEG/);
    assert.equal(await page.locator("#extract .photo:visible").count(), 1);
  }));
