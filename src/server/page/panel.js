// @ts-check
// One function of the page: its pictures, its request, its answer or its failure. It asks by itself as soon as all pictures
// are there; the former answer stays until the next one has come.

import { button, find, make } from "./dom.js";
import { FaceoodError } from "./faceood.js";
import { hasText, language, text } from "./texts.js";

/** @typedef {import("./picture.js").Slot} Slot */

/** Sooner, a spinner would only flicker. */
const SPINNER_AFTER_MS = 300;

/**
 * @template T
 * @typedef {object} Work
 * @property {(files: File[], signal: AbortSignal) => Promise<T>} ask
 * @property {(answer: T, files: File[]) => Node[]} show
 * @property {(answer: T) => string} say in a breath, for those who hear the page
 * @property {(answer: T, slots: Slot[]) => void} draw on the pictures
 * @property {(error: FaceoodError) => void} onfailure
 */

/** @param {string} words */
const isChinese = (words) => /\p{Script=Han}/u.test(words);

/** Tells those who hear the page, once. @param {string} words */
function announce(words) {
  const place = find("#said");
  if (place.textContent !== words) place.textContent = words;
}

/** @template T */
export class Panel {
  /** @type {AbortController | undefined} */
  #request;
  /** @type {{answer: T, files: File[]} | undefined} */
  #last;
  /** @type {unknown} */
  #failure;

  /**
   * @param {HTMLElement} element
   * @param {Work<T>} work
   */
  constructor(element, work) {
    this.element = element;
    this.work = work;
    /** @type {Slot[]} */
    this.slots = [];
  }

  /** Whether a request failed that may succeed now. */
  get isWaiting() {
    return this.#failure instanceof FaceoodError && this.#failure.isTemporary;
  }

  /** Whether a request failed because nobody was signed in. */
  get isLockedOut() {
    return this.#failure instanceof FaceoodError && this.#failure.code === "unauthenticated";
  }

  /** Asks about the pictures that are there now, if all are. */
  async run() {
    this.#request?.abort();
    const files = this.slots.flatMap((slot) => slot.file ?? []);
    this.#fail(undefined);
    if (files.length < this.slots.length) {
      this.#last = undefined;
      this.#busy(false);
      this.say();
      return;
    }
    const request = new AbortController();
    this.#request = request;
    const timer = setTimeout(() => this.#busy(true), SPINNER_AFTER_MS);
    try {
      const answer = await this.work.ask(files, request.signal);
      if (request.signal.aborted) return;
      this.#last = { answer, files };
      this.say();
      this.#bringIntoView(".verdict, .answer .card");
    } catch (error) {
      if (request.signal.aborted) return;
      this.#last = undefined;
      this.say();
      this.#fail(error);
      this.#bringIntoView(".failure");
      if (error instanceof FaceoodError) this.work.onfailure(error);
    } finally {
      clearTimeout(timer);
      if (this.#request === request) {
        for (const slot of this.slots) slot.settle();
        this.#busy(false);
      }
    }
  }

  /** On a phone what was asked for lies below the pictures: scrolls no further than it takes to see it. @param {string} what */
  #bringIntoView(what) {
    this.element.querySelector(what)?.scrollIntoView({ block: "nearest" });
  }

  /** @param {boolean} isBusy */
  #busy(isBusy) {
    this.element.classList.toggle("busy", isBusy);
    find(".answer", this.element).setAttribute("aria-busy", String(isBusy));
    find(".empty", this.element).textContent = isBusy ? text("working") : text(`${this.element.id}_empty`);
    if (isBusy) announce(text("working"));
  }

  /** Says everything in the language that is in force. */
  say() {
    for (const slot of this.slots) slot.say();
    const place = find(".answer", this.element);
    find(".empty", this.element).hidden = Boolean(this.#last ?? this.#failure);
    if (this.#last) {
      const { answer, files } = this.#last;
      place.replaceChildren(...this.work.show(answer, files));
      this.work.draw(answer, this.slots);
      if (!this.element.hidden) announce(this.work.say(answer));
    } else {
      place.replaceChildren();
    }
    this.#fail(this.#failure);
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#failure = error;
    const place = find(".failure", this.element);
    if (!error) {
      place.replaceChildren();
      return;
    }
    find(".empty", this.element).hidden = true;
    const known = error instanceof FaceoodError ? error : undefined;
    const said = known ? this.#sentences(known) : [text("problem_other", { detail: String(error) })];
    place.replaceChildren(
      make("strong", {}, text(this.element.id === "compare" ? "error_compare" : "error_extract")),
      ...said.map((sentence) => (typeof sentence === "string" ? make("p", {}, sentence) : sentence)),
      ...(known ? this.#remedy(known) : []),
      ...(known?.requestId ? [make("p", { class: "quiet" }, text("request_id", { id: known.requestId }))] : []));
  }

  /** What the reader can do about it. @param {FaceoodError} error */
  #remedy(error) {
    const words = error.code === "rate_limited" ? text("again_later", { seconds: Math.ceil((error.retryAfterMs ?? 1_000) / 1_000) })
      : error.code === "forbidden" ? text("forbidden_advice")
      : error.isTemporary ? text("again_by_itself") : "";
    return [words && make("p", {}, words), error.isTemporary && button("again", text("again"), () => this.run())]
      .filter((part) => part instanceof Node);
  }

  /**
   * The service explains in the reader's language what a picture can do wrong; what else it says in English stands below the
   * code's own words.
   * @param {FaceoodError} error
   * @returns {(string | HTMLElement)[]}
   */
  #sentences(error) {
    const { code, message, part } = error;
    const key = `problem_${code}`;
    const named = (/** @type {string} */ detail) => (part ? text("error_part", { side: text(part), detail }) : detail);
    if (error.status === 0) return [text(key)];
    // The service names a side by its field, `named` by the reader's word for it.
    const told = message.replace(/^`(probe|reference)`[:：] ?/, "");
    const sentence = isChinese(told) ? told : `${told.charAt(0).toUpperCase()}${told.slice(1).replace(/\.?$/, ".")}`;
    // Said before the reader switched: better in the other language than not at all.
    if (isChinese(message)) return [make("p", { lang: "zh" }, named(sentence))];
    if (language() === "en" || !hasText(key)) return [named(sentence)];
    return [named(text(key)), make("p", { class: "quiet", lang: "en" }, sentence)];
  }
}
