// @ts-check
// The strip: where the models run, which pack, and whether the service is ready. It notices a restart by itself.

import { find, make } from "./dom.js";
import { FaceoodError } from "./faceood.js";
import { marks, text } from "./texts.js";

/** @typedef {import("./faceood.js").Faceood} Faceood */
/** @typedef {import("./faceood.js").Info} Info */

const WHEN_READY_MS = 10_000;
const WHEN_NOT_MS = 1_000;

/** What is known of the service. */
export class Status {
  /** @type {Info | undefined} */
  info;
  /** @type {{name: "unknown" | "ready" | "not_ready" | "locked" | "gone", reason: string}} */
  #state = { name: "unknown", reason: "" };
  /** @type {string[]} */
  #warnings = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /**
   * @param {() => Faceood} client
   * @param {{onready: () => void, onlocked: () => void, maySee: () => boolean}} on ready: the service has become it;
   *   locked: it wants somebody to sign in; maySee: whether it is worth asking what runs there
   */
  constructor(client, on) {
    this.client = client;
    this.on = on;
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.check();
    });
    addEventListener("online", () => this.check());
  }

  /** Asks now, and again after a while. */
  async check() {
    clearTimeout(this.#timer);
    const before = this.#state.name;
    try {
      const health = await this.client().ready();
      this.#warnings = health.warnings ?? [];
      this.#state = { name: "ready", reason: "" };
    } catch (error) {
      const known = error instanceof FaceoodError && error.status !== 0 ? error : undefined;
      const name = !known ? "gone" : known.code === "unauthenticated" ? "locked" : "not_ready";
      this.#state = { name, reason: known?.message ?? "" };
      if (name === "locked") this.on.onlocked();
    }
    const { name } = this.#state;
    // After a restart it may be another pack, or another provider.
    if (name !== "gone" && (name !== before || !this.info) && this.on.maySee()) await this.#askInfo();
    this.say();
    if (name === "ready" && before !== "ready") this.on.onready();
    if (!document.hidden) {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.check(), ["ready", "locked"].includes(name) ? WHEN_READY_MS : WHEN_NOT_MS);
    }
  }

  async #askInfo() {
    try {
      this.info = await this.client().info();
    } catch (error) {
      if (error instanceof FaceoodError && error.code === "unauthenticated") this.on.onlocked();
    }
  }

  /** Says everything in the language that is in force. */
  say() {
    const { name, reason } = this.#state;
    const words = text(`state_${name}`, { reason });
    const place = find("#state");
    const spoken = find("span:last-child", place);
    if (spoken.textContent !== words) spoken.textContent = words;
    place.dataset.state = name;
    const { info } = this;
    if (!info) return;
    const { name: pack, version, sha256 } = info.pack;
    const warnings = this.#warnings.length > 0 && make("span", { class: "warning" }, `${text("warnings")}${marks().colon}${this.#warnings.join("; ")}`);
    find("#facts").replaceChildren(...[
      make("span", { title: info.provider.reason }, text("runs", { provider: info.provider.name })),
      make("span", { title: sha256 }, text("pack", { pack, version })),
      ...(warnings ? [warnings] : []),
    ]);
    find("#recent").hidden = false;
    find("#report").hidden = !info.report;
    const privacy = find("#privacy");
    privacy.dataset.text = info.privacy.keeps_thumbnails ? "privacy_kept" : "privacy";
    privacy.textContent = text(privacy.dataset.text);
  }
}
