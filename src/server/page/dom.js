// @ts-check
// How elements are made and changed. Whatever the service says is put in as text, never as markup.

/** @typedef {string | Node | null | undefined | false} Child */

/**
 * An element with attributes (`class`, `aria-…`, …) and children; a child that is nothing is left out.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, string | boolean>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  set(made, attributes);
  for (const child of children) if (child) made.append(child);
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/**
 * @param {string} tag
 * @param {Record<string, string | boolean>} attributes
 * @param {...Node} children
 */
export function drawn(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  set(made, attributes);
  made.append(...children);
  return made;
}

/**
 * @param {Element} element
 * @param {Record<string, string | boolean>} attributes
 */
function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false) element.setAttribute(name, value === true ? "" : value);
  }
}

/**
 * The element that this selector finds. The page is ours, so it is there.
 * @template {Element} [T=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {T}
 */
export function find(selector, within = document) {
  const found = within.querySelector(selector);
  if (!found) throw new Error(`the page has no ${selector}`);
  return /** @type {T} */ (/** @type {unknown} */ (found));
}

/** Paths in a box of 24 × 24. Each verdict and action has a shape of its own, so that nobody needs to tell colours apart. */
const SHAPES = {
  same: "M12 2a10 10 0 1 0 0 20 10 10 0 0 0 0-20ZM7 12.5l3.5 3.5L17 9",
  different: "M3 3h18v18H3ZM8 8l8 8M16 8l-8 8",
  review: "M12 2.5 22.5 21h-21ZM12 9.5v5M12 17.5v.5",
  untrusted: "M8 2h8l6 6v8l-6 6H8l-6-6V8ZM9.3 9a2.8 2.8 0 1 1 4 3c-.9.5-1.3 1-1.3 2M12 17v.5",
  accept: "M4 12.5l5.5 5.5L20 7",
  reject: "M5 5l14 14M19 5 5 19",
  cross: "M6 6l12 12M18 6 6 18",
  camera: "M3 8h4l2-3h6l2 3h4v12H3ZM12 10.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7Z",
  folder: "M3 5h6l2 3h10v11H3Z",
  picture: "M3 4h18v16H3ZM3 16l5-5 5 5 3-3 5 5M15.5 8.5v.2",
  copy: "M8 8h12v12H8ZM4 16V4h12",
  download: "M12 4v11M7 10.5l5 5 5-5M4 20h16",
  again: "M20 12a8 8 0 1 1-2.4-5.7M20 3v4.5h-4.5",
};

/**
 * @param {string} name
 * @returns {SVGElement}
 */
export function icon(name) {
  const shape = /** @type {Record<string, string>} */ (SHAPES)[name] ?? "";
  return drawn("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" }, drawn("path", { d: shape }));
}

/** Puts icons where the document asks for them. @param {ParentNode} within */
export function placeIcons(within) {
  for (const place of within.querySelectorAll("[data-icon]")) place.replaceWith(icon(place.getAttribute("data-icon") ?? ""));
}

/**
 * A button with an icon and words, and what it does.
 * @param {string} shape
 * @param {string} words
 * @param {() => void} act
 */
export function button(shape, words, act) {
  const made = make("button", { type: "button" }, icon(shape), make("span", {}, words));
  made.addEventListener("click", act);
  return made;
}

/**
 * Sets a style that depends on a value; through the object model, since the page's policy forbids style attributes.
 * @template {HTMLElement} T
 * @param {T} element
 * @param {Record<string, string>} properties
 * @returns {T}
 */
export function styled(element, properties) {
  for (const [name, value] of Object.entries(properties)) element.style.setProperty(name, value);
  return element;
}

/** @param {number} share 0…1 */
export const percent = (share) => `${(Math.min(1, Math.max(0, share)) * 100).toFixed(2)}%`;
