// @ts-check
// The camera: a live preview with the service's advice, before the picture is taken.

import { find, placeIcons, styled } from "./dom.js";
import { FaceoodError } from "./faceood.js";
import { drawFaces } from "./picture.js";
import { text } from "./texts.js";

/** @typedef {import("./faceood.js").Faceood} Faceood */
/** @typedef {import("./faceood.js").Extraction} Extraction */

/** Three frames a second at most are asked about. */
const FRAME_EVERY_MS = 334;
/** Frames are reduced to this width for the check; the picture that is taken is not. */
const FRAME_WIDTH_PX = 960;
const IDEAL = { width: { ideal: 1920 }, height: { ideal: 1080 }, facingMode: "user" };

/** The dialog with the camera's picture. */
export class Camera {
  #dialog = /** @type {HTMLDialogElement} */ (find("dialog#camera"));
  #video = /** @type {HTMLVideoElement} */ (find("video", this.#dialog));
  #overlay = /** @type {SVGElement} */ (find(".overlay", this.#dialog));
  #hint = find(".hint", this.#dialog);
  #shoot = /** @type {HTMLButtonElement} */ (find(".shoot", this.#dialog));
  /** @type {AbortController | undefined} While the dialog is open. */
  #session;
  /** @type {(file: File) => void} */
  #take = () => {};

  /**
   * @param {() => Faceood} client asked for each frame, since the language may change
   * @param {() => void} onlocked called when the service wants somebody to sign in
   */
  constructor(client, onlocked) {
    this.client = client;
    this.onlocked = onlocked;
    placeIcons(this.#dialog);
    this.#video.addEventListener("loadedmetadata", () => {
      const { videoWidth, videoHeight } = this.#video;
      styled(find(".viewfinder", this.#dialog), { "--shape": `${videoWidth} / ${videoHeight}` });
    });
    this.#shoot.addEventListener("click", () => this.#shot());
    find(".close", this.#dialog).addEventListener("click", () => this.close());
    this.#dialog.addEventListener("close", () => this.#stop());
  }

  /**
   * Opens the dialog; `take` gets the picture, if one is taken.
   * @param {(file: File) => void} take
   */
  async open(take) {
    this.#take = take;
    this.#shoot.disabled = true;
    this.#overlay.replaceChildren();
    this.#say("camera_starting", "");
    this.#dialog.showModal();
    const session = new AbortController();
    this.#session = session;
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: IDEAL, audio: false });
    } catch (error) {
      this.#say(refusal(error), "reject");
      return;
    }
    if (session.signal.aborted) {
      halt(stream); // closed while the browser was asking
      return;
    }
    this.#video.srcObject = stream;
    await this.#video.play().catch(() => {});
    this.#shoot.disabled = false;
    this.#shoot.focus();
    await this.#watch(session.signal);
  }

  /** Closes the dialog without a picture. */
  close() {
    this.#dialog.close();
  }

  /** @param {AbortSignal} signal */
  async #watch(signal) {
    let sent = -FRAME_EVERY_MS;
    while (!signal.aborted) {
      const rest = sent + FRAME_EVERY_MS - performance.now();
      await new Promise((resolve) => setTimeout(resolve, Math.max(rest, 20)));
      const canvas = document.hidden ? undefined : this.#frame(FRAME_WIDTH_PX);
      if (!canvas) continue;
      const frame = await encoded(canvas, 0.9);
      sent = performance.now();
      try {
        this.#advise(await this.client().quality(frame, { source: "page", signal }));
      } catch (error) {
        if (signal.aborted) return;
        this.#overlay.replaceChildren();
        this.#say("camera_waiting", "review");
        if (error instanceof FaceoodError && error.code === "unauthenticated") this.onlocked();
      }
    }
  }

  /** @param {Extraction} answer */
  #advise(answer) {
    drawFaces(this.#overlay, answer.image, answer.faces);
    const [face] = answer.faces;
    const [hint] = answer.hints.filter((known) => known.code !== "image_too_small");
    const action = face?.decision.action ?? "reject";
    if (hint) this.#say(`hint_${hint.code}`, action === "accept" ? "review" : action);
    else this.#say(action === "accept" ? "camera_good" : "camera_fair", action);
  }

  /**
   * @param {string} key
   * @param {string} action
   */
  #say(key, action) {
    const words = text(key);
    // Only what is new, so that a screen reader does not repeat it three times a second.
    if (this.#hint.textContent !== words) this.#hint.textContent = words;
    this.#hint.dataset.text = key;
    this.#hint.dataset.action = action;
  }

  /**
   * @param {number} widest
   * @returns {HTMLCanvasElement | undefined}
   */
  #frame(widest) {
    const { videoWidth, videoHeight } = this.#video;
    if (videoWidth === 0) return undefined;
    const scale = Math.min(1, widest / videoWidth);
    const canvas = document.createElement("canvas");
    canvas.width = Math.round(videoWidth * scale);
    canvas.height = Math.round(videoHeight * scale);
    canvas.getContext("2d")?.drawImage(this.#video, 0, 0, canvas.width, canvas.height);
    return canvas;
  }

  async #shot() {
    const canvas = this.#frame(Infinity);
    if (!canvas) return;
    const picture = await encoded(canvas, 0.95);
    this.#dialog.close();
    this.#take(new File([picture], "camera.jpg", { type: "image/jpeg" }));
  }

  #stop() {
    this.#session?.abort();
    halt(this.#video.srcObject);
    this.#video.srcObject = null;
  }
}

/** @param {unknown} stream */
function halt(stream) {
  if (stream instanceof MediaStream) for (const track of stream.getTracks()) track.stop();
}

/** @param {unknown} error */
function refusal(error) {
  const name = error instanceof DOMException ? error.name : "";
  if (name === "NotAllowedError" || name === "SecurityError") return "camera_refused";
  if (name === "NotFoundError" || name === "OverconstrainedError") return "camera_missing";
  return "camera_failed";
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} quality
 * @returns {Promise<Blob>}
 */
function encoded(canvas, quality) {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the frame cannot be encoded"))), "image/jpeg", quality);
  });
}
