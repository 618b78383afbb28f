// @ts-check
// Every page that faceood-admin writes: what axe-core has to say, and that nothing is cut off on a phone or a wall.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { assertAccessible, service, worsened } from "./support/browser.js";
import { ADMIN, ASTRONAUT, REPOSITORY } from "./support/daemon.js";

const { daemon, browser } = await service();
const photo = await readFile(ASTRONAUT);
const blurred = await worsened(browser, photo, "blur(6px)");

/** What the daemon is asked about `picture`. @param {Buffer} picture @param {string} source @param {string} id */
const ask = (picture, source, id) => fetch(`${daemon.address}/v1/quality?source=${source}`, {
  method: "POST", headers: { "Content-Type": "image/jpeg", "X-Request-Id": id }, body: new Uint8Array(picture),
});

// Two terminals, of which one is out of focus.
for (let number = 0; number < 26; number++) await ask(number < 24 ? blurred : photo, "gate-4", `gate-4.${number}`);
for (let number = 0; number < 30; number++) await ask(photo, "gate-1", `gate-1.${number}`);
await ask(Buffer.from("no picture"), "desk", "desk.1");

// Two "persons", and a file that is no picture.
const people = join(daemon.folder, "people");
for (const person of ["anna", "ben"]) await mkdir(join(people, person), { recursive: true });
await cp(ASTRONAUT, join(people, "anna/1.jpg"));
await writeFile(join(people, "anna/2.jpg"), await worsened(browser, photo, "brightness(.8)"));
await writeFile(join(people, "ben/1.jpg"), await worsened(browser, photo, "hue-rotate(90deg) saturate(2)", 0.6));
await writeFile(join(people, "ben/torn.jpg"), "no picture");

/** Arguments after which the report comes, by its name. @type {Record<string, string[]>} */
const REPORTS = {
  "analyze-logs": ["analyze-logs"],
  "analyze-logs in Chinese": ["analyze-logs", "--language", "zh"],
  "nothing to analyse": ["analyze-logs", "--since", "2099-01-01", "--until", "2099-01-02"],
  doctor: ["doctor"],
  explain: ["explain", "gate-4.1"],
  access: ["access"],
  extract: ["extract", people],
  compare: ["compare", join(people, "anna/1.jpg"), join(people, "ben/1.jpg")],
  evaluate: ["evaluate", people],
  "iso-sweep": ["evaluate", "iso-sweep", ASTRONAUT, "--iso", "100,6400", "--shots", "1"],
  scenarios: ["evaluate", "scenarios", ASTRONAUT, "--shots", "1"],
  map: ["map", people, "--iso", "6400"],
  "models inspect": ["models", "inspect"],
  "token list": ["token", "list"],
};

for (const [name, call] of Object.entries(REPORTS)) {
  test(`the page of ${name}`, async () => {
    const file = join(daemon.folder, `${name.replaceAll(" ", "-")}.html`);
    // Whether everything was well is another question: a report is written all the same.
    await new Promise((resolve) => {
      execFile(ADMIN, ["--data-dir", daemon.folder, ...call, "--format", "html", "--out", file], { cwd: REPOSITORY }, resolve);
    });
    for (const theme of /** @type {const} */ (["light", "dark"])) {
      for (const width of [320, 1280, 3840]) {
        const context = await browser.newContext({ colorScheme: theme, viewport: { width, height: 900 } });
        try {
          const page = await context.newPage();
          /** @type {string[]} */
          const asked = [];
          page.on("request", (request) => { if (!/^(file|data):/.test(request.url())) asked.push(request.url()); });
          await page.goto(pathToFileURL(file).href);
          const state = `${name}, ${theme}, ${width} px`;
          await page.evaluate(() => document.querySelectorAll("details").forEach((folded) => { folded.open = true; }));
          const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(beyond <= 0, `${state}: ${beyond} px too wide`);
          await assertAccessible(page, state);
          assert.deepEqual(asked, [], "a report loads nothing");
        } finally {
          await context.close();
        }
      }
    }
  });
}

test("a report of what was not accepted prints on two or three pages, without what is folded away", async () => {
  const page = await browser.newPage();
  await page.goto(pathToFileURL(join(daemon.folder, "analyze-logs.html")).href);
  const pdf = (await page.pdf({ format: "A4" })).toString("latin1");
  const pages = pdf.match(/\/Type\s*\/Page\b/g)?.length ?? 0;
  assert.ok(pages >= 1 && pages <= 3, `${pages} pages`);
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.locator("details").first().isVisible(), false);
  await page.close();
});
