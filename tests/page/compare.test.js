// @ts-check
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { choose, onPage, service, worsened } from "./support/browser.js";
import { ASTRONAUT, SOMEBODY_ELSE } from "./support/daemon.js";

const { daemon, browser } = await service();

/** @param {import("playwright-core").Page} page */
const verdict = (page) => page.waitForSelector("#compare .verdict").then((found) => found.getAttribute("data-verdict"));

test("two pictures of one person are the same, with scale, scores and the face drawn", () =>
  onPage(browser, daemon.address, async (page) => {
    const answered = page.waitForResponse((response) => response.url().includes("/v1/compare"));
    await choose(page, "compare", ASTRONAUT, ASTRONAUT);
    assert.equal(await verdict(page), "same");
    const answer = await (await answered).json();
    assert.equal(await page.textContent("#compare .verdict h3"), "Same person");
    const scale = page.locator("#compare .scale.similarity");
    assert.match(await scale.getAttribute("aria-label") ?? "", /^Similarity 1\.00: different below 0\.35, the same from 0\.45$/);
    assert.deepEqual(await scale.locator(".cut").allTextContents(), [".35", ".45"]);

    const card = page.locator("#compare .card[data-side=probe]");
    const { score, interval } = answer.probe.quality;
    assert.match(await card.textContent() ?? "", new RegExp(`${score.toFixed(2)}excellent`));
    assert.match(await card.textContent() ?? "", new RegExp(`${interval[0].toFixed(2)}–${interval[1].toFixed(2)}`));
    assert.equal(await page.locator("#compare .slot:nth-child(1) .overlay .point").count(), 5);
    const box = page.locator("#compare .slot:nth-child(1) .overlay .line");
    assert.equal(await box.getAttribute("x"), String(answer.probe.box.x));
    assert.match(await page.textContent(".trace") ?? "", new RegExp(answer.request_id));
  }));

test("two people are different, and a small picture is remarked on but compared", () =>
  onPage(browser, daemon.address, async (page) => {
    await choose(page, "compare", SOMEBODY_ELSE, ASTRONAUT);
    assert.equal(await verdict(page), "different");
    assert.match(await page.textContent("#compare .slot:nth-child(1) .note") ?? "", /At least 300 × 300 px, please: this one has 160 × 160/);
    assert.equal(await page.textContent("#compare .slot:nth-child(2) .note"), "");
  }));

test("a bad picture is untrusted, says why, and does not look like different people", async () => {
  const blurred = await worsened(browser, await readFile(ASTRONAUT), "blur(7px)");
  await onPage(browser, daemon.address, async (page) => {
    await choose(page, "compare", { name: "blurred.jpg", mimeType: "image/jpeg", buffer: blurred });
    await page.locator("#compare input[type=file]").nth(1).setInputFiles(ASTRONAUT);
    assert.equal(await verdict(page), "untrusted");
    const said = await page.textContent("#compare .verdict p") ?? "";
    assert.match(said, /Why there is no verdict, whatever the similarity: Picture in question: quality 0\.\d\d is below the 0\.40 that is needed/);
    const card = page.locator("#compare .card[data-side=probe]");
    assert.ok(await card.locator(".causes li").count() > 0, "a low score has causes");
    assert.equal(await card.locator(".mark.reject").count(), 1);
    const look = () => page.evaluate(() => {
      const element = /** @type {Element} */ (document.querySelector("#compare .verdict"));
      const { borderStyle, color, backgroundImage } = getComputedStyle(element);
      return { borderStyle, color, backgroundImage, shape: element.querySelector("path")?.getAttribute("d") };
    });
    const untrusted = await look();
    await choose(page, "compare", SOMEBODY_ELSE);
    await page.waitForSelector("#compare .verdict.different");
    const different = await look();
    for (const trait of /** @type {const} */ (["borderStyle", "color", "backgroundImage", "shape"])) {
      assert.notEqual(untrusted[trait], different[trait], trait);
    }
  });
});

test("a former answer stays until the next one has come, and a spinner shows that it is awaited", () =>
  onPage(browser, daemon.address, async (page) => {
    await choose(page, "compare", ASTRONAUT, ASTRONAUT);
    assert.equal(await verdict(page), "same");
    /** @type {() => void} */
    let release = () => {};
    const held = new Promise((resolve) => { release = () => resolve(undefined); });
    await page.route("**/v1/compare*", async (route) => {
      await held;
      await route.continue();
    });
    await choose(page, "compare", SOMEBODY_ELSE);
    await page.waitForSelector("#compare.busy");
    assert.equal(await verdict(page), "same");
    assert.equal(await page.getAttribute("#compare .answer", "aria-busy"), "true");
    release();
    await page.waitForSelector("#compare .verdict.different");
    await page.waitForSelector("#compare:not(.busy)");
  }));

test("a picture that is taken away takes the answer with it", () =>
  onPage(browser, daemon.address, async (page) => {
    await choose(page, "compare", ASTRONAUT, ASTRONAUT);
    assert.equal(await verdict(page), "same");
    await page.click("#compare .slot:nth-child(2) .remove");
    await page.waitForSelector("#compare .verdict", { state: "detached" });
    assert.equal(await page.isVisible("#compare .empty"), true);
  }));
