// @ts-check
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { choose, onPage, service, worsened } from "./support/browser.js";
import { ASTRONAUT } from "./support/daemon.js";

const { daemon, browser } = await service();

/**
 * @param {import("playwright-core").Page} page
 * @param {Parameters<typeof choose>[2]} file
 */
async function extracted(page, file) {
  const answered = page.waitForResponse((response) => response.url().includes("/v1/extract"));
  await choose(page, "extract", file);
  await page.waitForSelector("#extract .face");
  return (await answered).json();
}

test("everything that the service measured is shown, with units", () =>
  onPage(browser, daemon.address, async (page) => {
    const answer = await extracted(page, ASTRONAUT);
    const [face] = answer.faces;
    const text = await page.textContent("#extract .face") ?? "";
    const [low, high] = face.quality.interval.map((/** @type {number} */ value) => value.toFixed(2));
    assert.ok(text.includes(`Another shot would score ${low}–${high}.`), text);
    assert.ok(text.includes(face.embedding_norm.toFixed(2)), text);
    const shown = await page.locator("#extract [data-component]").evaluateAll((rows) =>
      rows.map((row) => [row.getAttribute("data-component"), row.querySelector(".value span")?.textContent]));
    // What does not move has no direction.
    const measured = Object.keys(face.quality.components).filter((name) => name !== "motion_direction");
    assert.deepEqual(shown.map(([name]) => name).sort(), measured.sort());
    const values = Object.fromEntries(shown);
    assert.equal(values.inter_eye_distance, `${face.quality.components.inter_eye_distance.toFixed(0)} px`);
    assert.equal(values.head_pose_roll, `${face.quality.components.head_pose_roll.toFixed(1)}°`);
    assert.equal(values.noise, `${face.quality.components.noise.toFixed(1)} levels`);
    assert.equal(values.sharpness, face.quality.components.sharpness.toFixed(2));
    assert.equal(await page.locator("#extract .components .usual").count(), measured.length, "each has the range of good photos");
  }));

test("values that good photos do not have stand out", async () => {
  const photo = await readFile(ASTRONAUT);
  /** @param {Buffer} buffer */
  const outliers = async (buffer) => {
    /** @type {(string | null)[]} */
    let found = [];
    await onPage(browser, daemon.address, async (page) => {
      await extracted(page, { name: "a.jpg", mimeType: "image/jpeg", buffer });
      found = await page.locator("#extract .outlier").evaluateAll((rows) => rows.map((row) => row.getAttribute("data-component")));
      const words = await page.locator("#extract .outlier .value").allTextContents();
      assert.ok(words.every((value) => value.endsWith("unusual")), words.join());
    });
    return found;
  };
  const [clean, blurred, dark] = [await outliers(photo), await outliers(await worsened(browser, photo, "blur(5px)")), await outliers(await worsened(browser, photo, "brightness(0.2)"))];
  assert.ok(!clean.includes("sharpness") && !clean.includes("luminance_mean"), clean.join());
  assert.ok(blurred.includes("sharpness"), blurred.join());
  assert.ok(dark.includes("luminance_mean"), dark.join());
});

test("advice is for the scenario that was asked, and a size that is missing is named", () =>
  onPage(browser, daemon.address, async (page) => {
    const answer = await extracted(page, ASTRONAUT);
    assert.equal(answer.faces[0].decision.action, "accept");
    const advice = await page.locator("#extract .part").allTextContents();
    assert.ok(advice.some((part) => part.endsWith("Nothing, for access.")), advice.join(" | "));
    const enroll = await page.textContent("[data-scenario=enroll]") ?? "";
    assert.match(enroll, /reject.*face must be at least \d+ px wide/, enroll);
  }));

test("the decision of each scenario is the service's own", async () => {
  const photo = await readFile(ASTRONAUT);
  const pictures = [photo, ...await Promise.all([2, 3.5, 5, 8].map((blur) => worsened(browser, photo, `blur(${blur}px)`)))];
  const actions = new Set();
  for (const [index, buffer] of pictures.entries()) {
    await onPage(browser, daemon.address, async (page) => {
      await extracted(page, { name: `${index}.jpg`, mimeType: "image/jpeg", buffer });
      const rows = await page.locator("#extract [data-scenario]").evaluateAll((found) =>
        found.map((row) => ({ scenario: row.getAttribute("data-scenario"), action: row.getAttribute("data-action") })));
      assert.deepEqual(rows.map(({ scenario }) => scenario), ["access", "alarm", "enroll", "search"]);
      for (const { scenario, action } of rows) {
        const response = await fetch(`${daemon.address}/v1/quality?faces=all&scenario=${scenario}`, {
          method: "POST", headers: { "Content-Type": "image/jpeg" }, body: new Uint8Array(buffer),
        });
        const { faces: [face] } = await response.json();
        assert.equal(action, face.decision.action, `${scenario} on picture ${index}`);
        actions.add(action);
      }
    });
  }
  assert.deepEqual([...actions].sort(), ["accept", "reject", "review"]);
});

test("the JSON that is copied, shown and saved is the service's answer", () =>
  onPage(browser, daemon.address, async (page) => {
    const answer = await extracted(page, ASTRONAUT);
    assert.equal(answer.faces[0].embedding.length, 512);
    await page.click("[data-copy=copy_json]");
    await page.waitForSelector("[data-copy=copy_json] >> text=Copied");
    assert.deepEqual(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())), answer);
    assert.deepEqual(JSON.parse(await page.textContent("code.json") ?? ""), answer);
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("text=Download JSON")]);
    assert.equal(download.suggestedFilename(), "astronaut.json");
    assert.deepEqual(JSON.parse(await readFile(await download.path(), "utf8")), answer);
  }));

test("the command that is copied makes the same request", () =>
  onPage(browser, daemon.address, async (page) => {
    const answer = await extracted(page, ASTRONAUT);
    await page.click("[data-copy=copy_curl]");
    await page.waitForSelector("[data-copy=copy_curl] >> text=Copied");
    const command = await page.evaluate(() => navigator.clipboard.readText());
    const { stdout } = await promisify(execFile)("bash", ["-c", `${command} --silent`], { cwd: dirname(ASTRONAUT), maxBuffer: 1e7 });
    const repeated = JSON.parse(stdout);
    for (const one of [answer, repeated]) {
      delete one.request_id;
      delete one.timings_ms;
    }
    assert.deepEqual(repeated, answer);
  }));

test("a name that a shell or curl would read otherwise is quoted", () =>
  onPage(browser, daemon.address, async (page) => {
    const name = "it's \"me\"; $(touch x), `y`.jpg";
    await extracted(page, { name, mimeType: "image/jpeg", buffer: await readFile(ASTRONAUT) });
    const command = await page.textContent("code.curl") ?? "";
    const { stdout } = await promisify(execFile)("bash", ["-c", `curl() { printf '%s\\n' "$@"; }; ${command}`]);
    assert.deepEqual(stdout.trim().split("\n"), ["-F", `image=@"${name.replaceAll('"', '\\"')}"`, `${daemon.address}/v1/extract?faces=all`]);
  }));
