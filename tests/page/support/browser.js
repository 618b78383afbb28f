// @ts-check
// A real Chromium, and a page in it that is watched: nothing may leave the origin, break the page's policy or fail unseen.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after } from "node:test";
import { chromium } from "playwright-core";
import { Daemon } from "./daemon.js";

/** @typedef {import("playwright-core").Page} Page */
/** @typedef {{language?: string, theme?: "light" | "dark", width?: number, height?: number, reducedMotion?: "reduce"}} Look */

const PROGRAM = process.env.CHROMIUM ?? "/usr/bin/chromium";
const QUIET = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

/** @param {string[]} more arguments */
export const launch = (...more) => chromium.launch({ executablePath: PROGRAM, args: [...QUIET, ...more] });

/** A daemon and a browser for the tests of one file, ended after the last of them. */
export async function service() {
  const [daemon, browser] = await Promise.all([Daemon.start(), launch()]);
  endAfterTests(daemon, browser);
  return { daemon, browser };
}

/**
 * The same with a daemon that the network reaches.
 * @param {string} config text of the daemon's settings
 * @param {Record<string, string>} roles of tokens by name
 * @param {string[]} more arguments of the browser
 */
export async function protectedService(config, roles, ...more) {
  const [{ daemon, tokens }, browser] = await Promise.all([Daemon.startProtected(config, roles), launch(...more)]);
  endAfterTests(daemon, browser);
  return { daemon, tokens, browser };
}

/** @param {Daemon} daemon @param {import("playwright-core").Browser} browser */
function endAfterTests(daemon, browser) {
  after(async () => {
    await browser.close();
    await daemon.stop();
  });
}

/** @param {string} film frames that the camera shows */
export const launchWithCamera = (film) =>
  launch("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream", `--use-file-for-fake-video-capture=${film}`);

/**
 * Opens the page at `address` and runs `act` on it; then it must have kept to itself.
 * @param {import("playwright-core").Browser} browser
 * @param {string} address
 * @param {(page: Page) => Promise<void>} act
 * @param {Look} [look]
 */
export async function onPage(browser, address, act, look = {}) {
  const context = await browser.newContext({
    locale: look.language ?? "en-US",
    colorScheme: look.theme ?? "light",
    reducedMotion: look.reducedMotion ?? "no-preference",
    viewport: { width: look.width ?? 1280, height: look.height ?? 900 },
    permissions: ["clipboard-read", "clipboard-write", "camera"],
    // A daemon on the network has a certificate of its own authority.
    ignoreHTTPSErrors: true,
  });
  try {
    const page = await context.newPage();
    page.setDefaultTimeout(60_000);
    /** @type {string[]} */
    const complaints = [];
    const origin = new URL(address).origin;
    context.on("request", (request) => {
      const url = new URL(request.url());
      if (url.origin !== origin && url.protocol !== "data:") complaints.push(`asked ${request.url()}`);
    });
    page.on("pageerror", (error) => complaints.push(`threw ${error.stack}`));
    page.on("console", (message) => {
      // The browser notes each failed request by itself; whether the page deals with them is what the tests look at.
      const isExpected = /^Failed to load resource/.test(message.text());
      if (["error", "warning"].includes(message.type()) && !isExpected) complaints.push(`said ${message.text()}`);
    });
    await page.addInitScript(() => {
      /** @type {any} */ (window).violations = [];
      addEventListener("securitypolicyviolation", (event) => {
        /** @type {any} */ (window).violations.push(`${event.violatedDirective} ${event.blockedURI}`);
      });
    });
    await page.goto(address);
    await page.waitForSelector("#state[data-state=ready]");
    await act(page);
    complaints.push(...await page.evaluate(() => /** @type {any} */ (window).violations));
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
}

/**
 * Chooses files in a panel, as the file dialog would.
 * @param {Page} page
 * @param {"compare" | "extract"} panel
 * @param {...(string | {name: string, mimeType: string, buffer: Buffer})} files
 */
export async function choose(page, panel, ...files) {
  await page.click(`#tab-${panel}`);
  for (const [index, file] of files.entries()) {
    const input = page.locator(`#${panel} input[type=file]`).nth(index);
    await (typeof file === "string" ? input.setInputFiles(file) : input.setInputFiles(file));
  }
}

/**
 * The file dialog that `act` opens.
 * @param {Page} page
 * @param {() => Promise<void>} act
 */
export async function dialogOf(page, act) {
  const opened = page.waitForEvent("filechooser");
  // The browser has to know that its dialog is wanted here before it opens one: an answer to a later question says so.
  await page.evaluate(() => undefined);
  await act();
  return opened;
}

/**
 * What axe-core has against the page as it is.
 * @param {Page} page
 * @param {string} state for the message
 */
export async function assertAccessible(page, state) {
  // Not as a script element: the page's policy is strict, and shall be.
  await page.evaluate(await readFile(AXE, "utf8"));
  const found = await page.evaluate(async () => {
    const { violations } = await /** @type {any} */ (window).axe.run();
    return violations.map((/** @type {any} */ violation) =>
      `${violation.id}: ${violation.help}: ${violation.nodes.map((/** @type {any} */ node) => node.target.join(" ")).join(", ")}`);
  });
  assert.deepEqual(found, [], state);
}

/**
 * A picture changed by a canvas filter (`blur(8px)`, …) and scaled, as JPEG.
 * @param {import("playwright-core").Browser} browser
 * @param {Buffer} picture
 * @param {string} filter
 * @param {number} [scale]
 * @returns {Promise<Buffer>}
 */
export async function worsened(browser, picture, filter, scale = 1) {
  const page = await browser.newPage();
  try {
    const base64 = await page.evaluate(async ([encoded, filter, scale]) => {
      const image = new Image();
      image.src = `data:image/jpeg;base64,${encoded}`;
      await image.decode();
      const canvas = document.createElement("canvas");
      canvas.width = image.naturalWidth * scale;
      canvas.height = image.naturalHeight * scale;
      const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
      context.filter = filter;
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      return canvas.toDataURL("image/jpeg", 0.95).split(",")[1];
    }, /** @type {const} */ ([picture.toString("base64"), filter, scale]));
    return Buffer.from(base64, "base64");
  } finally {
    await page.close();
  }
}
