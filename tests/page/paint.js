// @ts-check
// node paint.js [ADDRESS...]: how long the first paint takes, and until the page says "ready", in a browser that has just been started
// (cold) and once more in the same one (warm). Of several services in turns; without an address, of the daemon that is built.
import { performance as clock } from "node:perf_hooks";
import { launch } from "./support/browser.js";
import { Daemon } from "./support/daemon.js";

const TIMES = 15;

/** @param {import("playwright-core").Browser} browser @param {string} address */
async function measure(browser, address) {
  const page = await browser.newPage();
  const begin = clock.now();
  await page.goto(address);
  await page.waitForSelector("#state[data-state=ready]");
  const ready = clock.now() - begin;
  const paint = await page.evaluate(() => performance.getEntriesByType("paint").find(({ name }) => name === "first-paint")?.startTime ?? NaN);
  await page.close();
  return { paint, ready };
}

/** @param {number[]} values */
const shown = (values) => {
  const sorted = values.toSorted((one, other) => one - other);
  const at = (/** @type {number} */ part) => sorted[Math.round(part * (sorted.length - 1))].toFixed(0);
  return `${at(0)} / ${at(0.5)} / ${at(1)} ms`;
};

const daemon = process.argv.length > 2 ? undefined : await Daemon.start();
const addresses = daemon ? [daemon.address] : process.argv.slice(2);
/** @type {Map<string, number[]>} */
const found = new Map();
for (let time = 0; time < TIMES; time++) {
  for (const address of addresses) {
    const browser = await launch();
    for (const state of ["cold", "warm"]) {
      for (const [what, value] of Object.entries(await measure(browser, address))) {
        const key = `${address} ${state} ${what}`;
        found.set(key, [...(found.get(key) ?? []), value]);
      }
    }
    await browser.close();
  }
}
for (const [key, values] of found) console.log(`${key}: ${shown(values)} (least, median, most of ${TIMES})`);
await daemon?.stop();
