// @ts-check
// Where the page starts. It talks to the service it came from and to nobody else.

import { Camera } from "./camera.js";
import { sayComparison, showComparison } from "./compare.js";
import { find } from "./dom.js";
import { sayExtraction, showExtraction } from "./extract.js";
import { Faceood } from "./faceood.js";
import { Panel } from "./panel.js";
import { hasFiles, picturesIn, Slot } from "./picture.js";
import { Session } from "./session.js";
import { Status } from "./status.js";
import { language, offerOtherLanguage } from "./texts.js";

/** @typedef {import("./faceood.js").Comparison} Comparison */
/** @typedef {import("./faceood.js").Extraction} Extraction */
/** @typedef {import("./faceood.js").FaceoodError} FaceoodError */

/** The page's rows in the log are told apart from those of terminals. */
const ASK = { source: "page" };

/** A large picture over a slow network takes its time. */
const PATIENCE_MS = 90_000;
const BASE = new URL(".", document.baseURI).href;

const client = () => new Faceood({ baseUrl: BASE, language: language(), timeoutMs: PATIENCE_MS });
// Asked again by itself: what does not answer soon is gone.
const statusClient = () => new Faceood({ baseUrl: BASE, language: language(), retries: 0, timeoutMs: 5_000 });
// One frame at a time, and the next one is newer: no use in sending one again.
const cameraClient = () => new Faceood({ baseUrl: BASE, retries: 0, timeoutMs: 5_000 });

const status = new Status(statusClient, {
  onready: () => {
    for (const panel of panels) {
      if (panel.isWaiting) panel.run();
      else panel.say(); // the cuts of a scenario are known now
    }
  },
  onlocked: () => session.check(),
  maySee: () => !session.isSignedOut,
});
/** @param {FaceoodError} error */
const onfailure = (error) => {
  if (error.code === "unauthenticated") session.check();
  else if (error.isTemporary) status.check();
};
const session = new Session(`${BASE}session`, {
  onsignin: async () => {
    find("[role=tab][aria-selected=true]").focus();
    await status.check();
    for (const panel of panels) {
      if (panel.isLockedOut) panel.run();
      else panel.say();
    }
  },
  onsignout: () => camera.close(),
  onforget: () => {
    for (const panel of panels) for (const slot of panel.slots) slot.fill(undefined);
    find("#said").textContent = "";
  },
});

/** @type {Panel<Comparison>} */
const compare = new Panel(find("#compare"), {
  ask: ([probe, reference], signal) => client().compare(probe, reference, { ...ASK, signal }),
  show: (answer) => showComparison(unrepeated(answer, compare.slots), status.info),
  say: (answer) => sayComparison(answer, status.info),
  draw: (answer, [probe, reference]) => {
    if ("box" in answer.probe) probe.show([answer.probe]);
    if ("box" in answer.reference) reference.show([answer.reference]);
  },
  onfailure,
});

/** @type {Panel<Extraction>} */
const extract = new Panel(find("#extract"), {
  ask: ([picture], signal) => client().extract(picture, { ...ASK, faces: "all", signal }),
  show: (answer, [picture]) => showExtraction(answer, status.info, picture),
  say: sayExtraction,
  draw: (answer, [slot]) => slot.show(answer.faces),
  onfailure,
});

const panels = [compare, extract];

/**
 * Without the remark that a picture is small, where its slot has made it already.
 * @param {Comparison} answer
 * @param {Slot[]} slots
 * @returns {Comparison}
 */
function unrepeated(answer, slots) {
  const small = slots.filter((slot) => slot.isKnownSmall).map((slot) => slot.name);
  return { ...answer, hints: answer.hints.filter((hint) => hint.code !== "image_too_small" || !small.includes(hint.part)) };
}

const camera = new Camera(cameraClient, () => session.check());

for (const panel of panels) {
  const place = find("[data-slots]", panel.element);
  const names = (place.getAttribute("data-slots") ?? "").split(" ");
  panel.slots = names.map((name) => new Slot(name, {
    onchange: () => panel.run(),
    oncamera: (slot) => camera.open((file) => slot.fill(file)),
    ondrop: (files, slot) => bring(panel, files, slot),
  }));
  place.append(...panel.slots.map((slot) => slot.element));
}

/**
 * Puts pictures into slots: the first into `first`, where one is named, the others into those after it.
 * @param {Panel<any>} panel
 * @param {File[]} files
 * @param {Slot} [first]
 */
async function bring(panel, files, first) {
  const { slots } = panel;
  const start = first ?? (files.length >= slots.length ? slots[0] : slots.find((slot) => !slot.file && !slot.isFilling)) ?? slots[0];
  if (files.length === 0) {
    start.refuse("not_a_picture");
    return;
  }
  const order = [start, ...slots.filter((slot) => slot !== start)];
  const taken = files.slice(0, order.length);
  await Promise.all(taken.map((file, index) => order[index].fill(file)));
  if (files.length > order.length && order.length === 1) start.refuse("only_one");
}

const active = () => panels.find((panel) => !panel.element.hidden) ?? compare;

addEventListener("paste", (event) => {
  if (session.isSignedOut || !hasFiles(event.clipboardData) || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  bring(active(), picturesIn(event.clipboardData));
});
// A picture that misses its place must not replace the page.
addEventListener("dragover", (event) => event.preventDefault());
addEventListener("drop", (event) => {
  event.preventDefault();
  if (!session.isSignedOut && hasFiles(event.dataTransfer)) bring(active(), picturesIn(event.dataTransfer));
});

const tabs = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[role=tab]")]);

/** @param {HTMLElement} chosen */
function select(chosen) {
  for (const tab of tabs) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    find(`#${tab.getAttribute("aria-controls")}`).hidden = !isChosen;
  }
  history.replaceState(null, "", `#${chosen.getAttribute("aria-controls")}`);
}

for (const [index, tab] of tabs.entries()) {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", (event) => {
    const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: -1 }[event.key];
    const next = to === undefined ? undefined : tabs.at(to % tabs.length);
    if (!next) return;
    event.preventDefault();
    next.focus();
    select(next);
  });
}
if (location.hash === "#extract") select(find("#tab-extract"));

offerOtherLanguage(find("#language"), () => {
  status.say();
  session.say();
  for (const panel of panels) panel.say();
});
// First, so that nothing is asked that would be refused.
session.check().then(() => status.check());
