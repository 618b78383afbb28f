// @ts-check
// One place for a picture: filled by drop, paste, file dialog or camera; shows it with what was found on it.

import { drawn, find, placeIcons } from "./dom.js";
import { asJpeg, isHeic } from "./heic.js";
import { text, translate } from "./texts.js";

/** @typedef {import("./faceood.js").Face} Face */
/** @typedef {{width: number, height: number}} Size */
/** @typedef {"" | "small" | "not_shown" | "not_a_picture" | "only_one" | "heic" | "from_heic"} Note */

const LEAST_SIDE_PX = 300;

/**
 * The pictures among what was dropped or pasted. A type that the system does not know is let through: the service reads the
 * bytes, not the name.
 * @param {DataTransfer | null} transfer
 * @returns {File[]}
 */
export function picturesIn(transfer) {
  return [...(transfer?.files ?? [])].filter((file) => file.type === "" || file.type.startsWith("image/"));
}

/** Whether files were brought at all, pictures or not. @param {DataTransfer | null} transfer */
export const hasFiles = (transfer) => (transfer?.files.length ?? 0) > 0;

/**
 * Draws boxes and the five points of faces over a picture of this size.
 * @param {SVGElement} overlay
 * @param {Size} size
 * @param {Face[]} faces
 */
export function drawFaces(overlay, size, faces) {
  overlay.setAttribute("viewBox", `0 0 ${size.width} ${size.height}`);
  // Lines and points as thick on the screen, however many pixels the picture has.
  const unit = Math.max(size.width, size.height) / 400;
  const shapes = faces.flatMap((face, index) => {
    const { x, y, width, height } = face.box;
    const place = { x: String(x), y: String(y), width: String(width), height: String(height), rx: String(unit * 3) };
    const box = ["halo", "line"].map((layer) =>
      drawn("rect", { ...place, class: layer, "stroke-width": String(unit * (layer === "halo" ? 3.5 : 1.75)) }));
    const points = face.landmarks.map(([px, py]) =>
      drawn("circle", { cx: String(px), cy: String(py), r: String(unit * 2.2), class: "point", "stroke-width": String(unit) }));
    const label = faces.length > 1
      ? [drawn("text", { x: String(x + unit * 4), y: String(y + unit * 16), "font-size": String(unit * 14), class: "number", "stroke-width": String(unit * 3) }, document.createTextNode(String(index + 1)))]
      : [];
    return [...box, ...points, ...label];
  });
  overlay.replaceChildren(...shapes);
  overlay.removeAttribute("hidden");
}

/** A slot: `file` is its picture, `onchange` is called when it has another one or none. */
export class Slot {
  /** @type {File | undefined} */
  file;
  /** @type {Size | undefined} As the browser shows it; unknown while it loads and where it cannot. */
  #size;
  /** @type {Face[]} */
  #faces = [];
  /** @type {Note} */
  #note = "";
  /** The browser does not know this kind of picture. */
  #isUnshowable = false;

  /**
   * @param {string} name a key of the texts
   * @param {{onchange: () => void, oncamera: (slot: Slot) => void, ondrop: (files: File[], slot: Slot) => void}} on
   */
  constructor(name, on) {
    this.name = name;
    this.#on = on;
    const template = /** @type {HTMLTemplateElement} */ (find("template#slot"));
    const content = /** @type {DocumentFragment} */ (template.content.cloneNode(true));
    this.element = find("section", content);
    placeIcons(this.element);
    this.#input = /** @type {HTMLInputElement} */ (find("input", this.element));
    this.#photo = /** @type {HTMLImageElement} */ (find(".photo", this.element));
    this.#overlay = /** @type {SVGElement} */ (find(".overlay", this.element));
    this.#listen();
    this.say();
  }
  #on;
  #input;
  #photo;
  #overlay;

  #listen() {
    const stage = find(".stage", this.element);
    // Reached by the button beside it, which has a name of its own.
    this.#input.tabIndex = -1;
    this.#input.addEventListener("change", () => {
      const [file] = this.#input.files ?? [];
      this.#input.value = ""; // so that the same file can be chosen again
      if (file) this.fill(file);
    });
    this.#photo.addEventListener("load", () => {
      this.#size = { width: this.#photo.naturalWidth, height: this.#photo.naturalHeight };
      if (!this.#note && Math.min(this.#size.width, this.#size.height) < LEAST_SIDE_PX) this.#remark("small");
      this.#draw();
    });
    // TIFF, in most browsers. HEIC has become a JPEG by now, or was refused.
    this.#photo.addEventListener("error", () => {
      if (!this.file) return;
      this.#isUnshowable = true;
      this.#remark("not_shown");
    });
    find(".choose", this.element).addEventListener("click", () => this.#browse());
    find(".camera", this.element).addEventListener("click", () => {
      // Browsers lend the camera to pages from this machine and from https only; phones elsewhere have an app for it.
      if ("mediaDevices" in navigator) this.#on.oncamera(this);
      else this.#browse("user");
    });
    find(".remove", this.element).addEventListener("click", () => {
      this.fill(undefined);
      find(".choose", this.element).focus();
    });
    stage.addEventListener("dragover", (event) => {
      event.preventDefault();
      this.element.classList.add("over");
    });
    stage.addEventListener("dragleave", () => this.element.classList.remove("over"));
    stage.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      this.element.classList.remove("over");
      if (hasFiles(event.dataTransfer)) this.#on.ondrop(picturesIn(event.dataTransfer), this);
    });
  }

  /** @param {string} [capture] */
  #browse(capture) {
    if (capture) this.#input.setAttribute("capture", capture);
    else this.#input.removeAttribute("capture");
    this.#input.click();
  }

  /**
   * Takes this picture, or none. A HEIC is taken as a JPEG, or refused with what to do.
   * @param {File | undefined} file
   */
  async fill(file) {
    const turn = ++this.#turn;
    this.isFilling = true;
    const jpeg = file && await isHeic(file).catch(() => false) ? await asJpeg(file) ?? "unreadable" : undefined;
    // Another picture has come meanwhile.
    if (turn !== this.#turn) return;
    if (jpeg === "unreadable") this.#take(undefined, "heic");
    else this.#take(jpeg ?? file, jpeg ? "from_heic" : "");
  }
  #turn = 0;
  /** A picture is on its way into this slot, which counts as taken. */
  isFilling = false;

  /** @param {File | undefined} file @param {Note} note */
  #take(file, note) {
    this.isFilling = false;
    if (this.#photo.src) URL.revokeObjectURL(this.#photo.src);
    this.file = file;
    this.#size = undefined;
    this.#isUnshowable = false;
    this.#faces = [];
    this.#remark(note);
    this.#overlay.setAttribute("hidden", "");
    if (file) this.#photo.src = URL.createObjectURL(file);
    else this.#photo.removeAttribute("src");
    this.say();
    this.#on.onchange();
  }

  /** Remarks that what was brought is no picture, or that one of several was taken. @param {"not_a_picture" | "only_one"} note */
  refuse(note) {
    this.#remark(note);
  }

  /** The service has said what it makes of the picture: no word any more of what it might. */
  settle() {
    if (this.#note === "not_shown") this.#remark("");
  }

  /** Whether the reader has been told that the picture is small. */
  get isKnownSmall() {
    return this.#note === "small";
  }

  /** Shows what the service found. @param {Face[]} faces */
  show(faces) {
    this.#faces = faces;
    this.#draw();
  }

  #draw() {
    if (this.#size && this.#faces.length > 0) drawFaces(this.#overlay, this.#size, this.#faces);
  }

  /** @param {Note} note */
  #remark(note) {
    this.#note = note;
    this.say();
  }

  /** Says everything in the language that is in force. */
  say() {
    const slot = text(this.name);
    translate(this.element);
    find("h2", this.element).textContent = slot;
    for (const name of ["choose", "camera", "remove"]) {
      find(`.${name}`, this.element).setAttribute("aria-label", text(`${name}_for`, { slot }));
    }
    const isShown = Boolean(this.file) && !this.#isUnshowable;
    this.element.classList.toggle("filled", Boolean(this.file));
    this.#photo.hidden = !isShown;
    this.#photo.alt = this.file ? text("picture_of", { slot, name: this.file.name }) : "";
    if (this.file && !isShown) find(".invite [data-text]", this.element).textContent = this.file.name;
    find(".remove", this.element).hidden = !this.file;
    const { width, height } = this.#size ?? { width: 0, height: 0 };
    find(".note", this.element).textContent = this.#note && text(this.#note, { width, height });
  }
}
