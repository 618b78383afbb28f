// @ts-check
// Who uses the page. A protected service wants a token once; then the browser holds a cookie that no script can read.
// The token stands in the field alone: never in an address, in storage or in a message.

import { find } from "./dom.js";
import { hasText, text } from "./texts.js";

/** @typedef {{protected: boolean, name: string | null, role: string | null}} Known */
/** @typedef {{key: string, values?: Record<string, string | number>}} Note */

const PATIENCE_MS = 10_000;
/** @type {Known} */
const SIGNED_OUT = { protected: true, name: null, role: null };

/** The sign-in form, and the name with "Sign out" in the header. */
export class Session {
  /** @type {Known} A service that does not say is taken as open. */
  #known = { protected: false, name: null, role: null };
  /** @type {string | null} Who brought the pictures on the page. */
  #owner = null;
  /** @type {Note | undefined} Why the form is there, or what did not work. */
  #note;
  #form = find("#sign-in");
  #field = /** @type {HTMLInputElement} */ (find("#token"));
  #submit = /** @type {HTMLButtonElement} */ (find("button", this.#form));

  /**
   * @param {string} address where the service says who is signed in
   * @param {{onsignin: () => void, onsignout: () => void, onforget: () => void}} on forget: whoever is next must not see the
   *   pictures
   */
  constructor(address, on) {
    this.address = address;
    this.on = on;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#signIn();
    });
    find("#sign-out").addEventListener("click", () => this.#signOut());
    // It may have ended meanwhile, or begun in another tab.
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.#known.protected) this.check();
    });
  }

  /** Whether the form stands in place of the functions. */
  get isSignedOut() {
    return this.#known.protected && this.#known.name === null;
  }

  /** Asks who is signed in. Where no answer comes, as from a service that knows no sign-in, everything stays as it is. */
  async check() {
    const response = await this.#ask("GET");
    const known = response?.ok ? await response.json().catch(() => undefined) : undefined;
    if (typeof known?.protected === "boolean") this.#apply(known, "session_ended");
  }

  /**
   * @param {Known} known
   * @param {string} why what is said to somebody who was signed in and is no more
   */
  #apply(known, why) {
    const wasSignedOut = this.isSignedOut;
    const wasSomebody = this.#known.name !== null;
    this.#known = known;
    if (this.isSignedOut && !wasSignedOut) {
      this.#note = wasSomebody ? { key: why } : undefined;
      this.on.onsignout();
      this.say();
      this.#field.focus();
      return;
    }
    this.say();
    if (known.name) {
      if (this.#owner !== null && this.#owner !== known.name) this.on.onforget();
      this.#owner = known.name;
    }
    if (wasSignedOut && !this.isSignedOut) this.on.onsignin();
  }

  /** Says everything in the language that is in force. */
  say() {
    const { name, role } = this.#known;
    this.#form.hidden = !this.isSignedOut;
    find("#functions").hidden = this.isSignedOut;
    find("#sign-out").hidden = name === null;
    const roleKey = `role_${role}`;
    say(find("#who"), name ? text("signed_in", { name, role: hasText(roleKey) ? text(roleKey) : role ?? "" }) : "");
    say(find("#session-note"), this.#note ? text(this.#note.key, this.#note.values) : "");
    this.#field.setAttribute("aria-invalid", String(["sign_in_empty", "sign_in_wrong"].includes(this.#note?.key ?? "")));
  }

  async #signIn() {
    const token = this.#field.value.trim();
    if (!token) {
      this.#refuse("sign_in_empty");
      return;
    }
    this.#submit.disabled = true;
    const response = await this.#ask("POST", JSON.stringify({ token }));
    this.#submit.disabled = false;
    if (!response?.ok) {
      this.#refuse(...reason(response));
      return;
    }
    this.#field.value = "";
    this.#note = undefined;
    await this.check();
    // Taken, and yet unknown: the browser has not kept the cookie.
    if (this.isSignedOut) this.#refuse("sign_in_no_cookie");
  }

  async #signOut() {
    const response = await this.#ask("DELETE");
    // 401: it had ended already.
    if (!response?.ok && response?.status !== 401) {
      this.#note = { key: "sign_out_failed" };
      this.say();
      return;
    }
    this.#owner = null;
    this.on.onforget();
    this.#apply(SIGNED_OUT, "signed_out");
  }

  /**
   * @param {string} key
   * @param {Note["values"]} [values]
   */
  #refuse(key, values) {
    this.#note = { key, values };
    this.say();
    this.#field.focus();
    this.#field.select();
  }

  /**
   * @param {"GET" | "POST" | "DELETE"} method
   * @param {string} [body]
   * @returns {Promise<Response | undefined>} undefined where there was no answer
   */
  #ask(method, body) {
    const headers = body ? { "Content-Type": "application/json" } : undefined;
    return fetch(this.address, { method, headers, body, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) })
      .catch(() => undefined);
  }
}

/** Only what is new, so that a screen reader does not say it twice. @param {HTMLElement} place @param {string} words */
function say(place, words) {
  if (place.textContent !== words) place.textContent = words;
}

/**
 * Why a token was not taken, and what to do.
 * @param {Response | undefined} response
 * @returns {[string, Note["values"]?]}
 */
function reason(response) {
  if (!response) return ["problem_unreachable"];
  const { status } = response;
  if (status === 400 || status === 401) return ["sign_in_wrong"];
  if (status === 403) return ["sign_in_forbidden"];
  if (status !== 429) return ["sign_in_failed", { status }];
  const seconds = Number(response.headers.get("Retry-After")) || 60;
  return ["sign_in_too_often", { minutes: Math.ceil(seconds / 60) }];
}
