// @ts-check
// Words in the reader's language. The service chooses it by `Accept-Language`, or by the cookie that the switch leaves.

import { find } from "./dom.js";

/** @typedef {{name: string, unit: string, direction: "higher_is_better" | "lower_is_better" | "neither", usual: [number, number]}} Component */
/** @typedef {{language: string, texts: Record<string, string>, components: Component[]}} Known */

/** @type {Known} */
let known = JSON.parse(find("#known").textContent ?? "");
const OTHER = { en: ["zh", "中文"], zh: ["en", "English"] };
const A_YEAR_S = 31_536_000;

export const language = () => known.language;
/** What is measured on a face, in the service's order. */
export const components = () => known.components;

/**
 * @param {string} key
 * @param {Record<string, string | number>} [values] for the holes in the text
 */
export function text(key, values = {}) {
  const found = known.texts[key] ?? key;
  return found.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/** @param {string} key */
export const hasText = (key) => key in known.texts;

/** The punctuation of this language: within a list, between sentences, after a name, and of a share. */
export const marks = () => (known.language === "zh"
  ? { list: "、", stop: "。", gap: "", colon: "：", percent: "%" }
  : { list: ", ", stop: ". ", gap: " ", colon: ": ", percent: " %" });

/** Scores and similarities have two digits everywhere, so that they can be compared by eye. @param {number} value */
export const number = (value) => value.toFixed(2);

/**
 * Puts the words of this language where the document asks for them.
 * @param {ParentNode} [within]
 */
export function translate(within = document) {
  for (const element of within.querySelectorAll("[data-text]")) {
    element.textContent = text(element.getAttribute("data-text") ?? "");
  }
  for (const element of within.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", text(element.getAttribute("data-label") ?? ""));
  }
}

/**
 * Makes the button the switch to the other language, remembered for a year.
 * @param {HTMLElement} button
 * @param {() => void} changed called when everything else may be said anew
 */
export function offerOtherLanguage(button, changed) {
  button.addEventListener("click", async () => {
    const [other] = OTHER[/** @type {"en" | "zh"} */ (known.language)];
    const response = await fetch(`page/${other}.json`).catch(() => undefined);
    // While the service is gone the page stays as it is: better in the wrong language than half in each.
    if (!response?.ok) return;
    known = await response.json();
    document.cookie = `faceood_language=${other}; path=/; max-age=${A_YEAR_S}; samesite=strict`;
    document.documentElement.lang = other;
    document.title = text("title");
    const [next, name] = OTHER[/** @type {"en" | "zh"} */ (other)];
    button.lang = next;
    button.textContent = name;
    translate();
    changed();
  });
}
