// @ts-check
// Extract: everything that is known of the faces in a picture, and the answer itself for those who write programs.

import { button, make } from "./dom.js";
import { actionMark, adviceList, causeList, componentTable, facts, part, scoreScale, trace } from "./parts.js";
import { decide } from "./policy.js";
import { hasText, marks, number, text } from "./texts.js";

/** @typedef {import("./faceood.js").Extraction} Extraction */
/** @typedef {import("./faceood.js").Face} Face */
/** @typedef {import("./faceood.js").Info} Info */

/**
 * @param {Extraction} answer
 * @param {Info | undefined} info
 * @param {File} picture
 * @returns {Node[]}
 */
export function showExtraction(answer, info, picture) {
  const { faces } = answer;
  const cards = faces.map((face, index) => {
    const hints = index === 0 ? answer.hints : [];
    const details = faceDetails(face, hints, faces.length, info);
    if (faces.length === 1) return make("article", { class: "face" }, ...details);
    const heading = make("summary", {}, text("face", { number: index + 1 }), make("span", { class: `grade ${face.quality.grade}` },
      `${number(face.quality.score)} ${text(`grade_${face.quality.grade}`)}`), actionMark(face.decision.action));
    return make("details", { class: "face", open: index === 0 }, heading, ...details);
  });
  const several = faces.length > 1 && make("p", { class: "quiet" }, text("faces", { count: faces.length }));
  return [...(several ? [several] : []), ...cards, developers(answer, picture), trace(answer)];
}

/** @param {Extraction} answer */
export function sayExtraction(answer) {
  return answer.faces.map((face) => {
    const [low, high] = face.quality.interval.map(number);
    return text("quality_is", { score: number(face.quality.score), grade: text(`grade_${face.quality.grade}`), low, high });
  }).join(marks().stop);
}

/**
 * @param {Face} face
 * @param {Extraction["hints"]} hints
 * @param {number} faceCount
 * @param {Info | undefined} info
 */
function faceDetails(face, hints, faceCount, info) {
  return [
    make("div", { class: "cards" },
      make("div", { class: "card" }, make("h3", {}, text("quality"), actionMark(face.decision.action)), scoreScale(face.quality), facts(face)),
      make("div", { class: "card" },
        part(text("causes"), causeList(face.quality.causes)),
        part(text("advice"), adviceList(hints, face.decision)),
        info ? part(text("decisions"), decisionTable(face, faceCount, info)) : null)),
    make("div", { class: "card" }, make("h3", {}, text("components")), componentTable(face.quality.components)),
  ];
}

/**
 * @param {Face} face
 * @param {number} faceCount
 * @param {Info} info
 */
function decisionTable(face, faceCount, info) {
  const rows = Object.entries(info.policies).map(([name, policy]) => {
    const { action, reasons } = decide(policy, face, faceCount);
    return make("tr", { "data-scenario": name, "data-action": action },
      make("th", { scope: "row" }, name,
        // A scenario of the site's own has the name that the site gave it, and no more.
        hasText(`scenario_${name}`) && make("span", { class: "quiet" }, text(`scenario_${name}`)),
        make("span", { class: "quiet" }, text("cuts", { accept: number(policy.accept), review: number(policy.review) }))),
      make("td", {}, actionMark(action), reasons.length > 0 && make("span", { class: "quiet" }, reasons.map((reason) => text(`reason_${reason}`, { px: policy.min_face_px })).join(marks().list))));
  });
  return make("table", { class: "decisions" },
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, text("scenario")), make("th", { scope: "col" }, text("action")))),
    make("tbody", {}, ...rows));
}

/**
 * @param {Extraction} answer
 * @param {File} picture
 */
function developers(answer, picture) {
  const json = JSON.stringify(answer, null, 2);
  // 512 numbers, one a line, would bury everything else; only the text that is shown is folded.
  const shown = json.replace(/\[[\s\d.,eE+-]+\]/g, (list) => list.replace(/\s+/g, " "));
  const curl = curlLine(picture);
  const count = answer.faces[0]?.embedding?.length ?? 0;
  const download = button("download", text("download_json"), () => save(json, `${picture.name.replace(/\.\w+$/, "")}.json`));
  return make("section", { class: "card developers" },
    make("h3", {}, text("developers")),
    part(text("curl"), make("pre", { tabindex: "0", role: "region", "aria-label": text("curl") }, make("code", { class: "curl" }, curl))),
    make("div", { class: "buttons" }, copyButton("copy_curl", curl)),
    part(text("json"), make("pre", { tabindex: "0", role: "region", "aria-label": text("json_is", { count }) }, make("code", { class: "json" }, shown))),
    make("div", { class: "buttons" }, copyButton("copy_json", json), download));
}

/** The command that asks what the page asked. @param {File} picture */
function curlLine(picture) {
  const quoted = (/** @type {string} */ words) => `'${words.replaceAll("'", "'\\''")}'`;
  // In a form, curl takes ; and , in a name for its own, unless the name is quoted once more.
  const name = picture.name.replace(/[\\"]/g, "\\$&");
  return `curl -F ${quoted(`image=@"${name}"`)} ${quoted(new URL("v1/extract?faces=all", document.baseURI).href)}`;
}

/**
 * @param {string} key
 * @param {string} content
 */
function copyButton(key, content) {
  const made = button("copy", text(key), async () => {
    const said = await copied(content) ? "copied" : "copy_failed";
    label.textContent = text(said);
    setTimeout(() => { label.textContent = text(key); }, 2500);
  });
  made.dataset.copy = key;
  const label = /** @type {HTMLElement} */ (made.lastElementChild);
  label.setAttribute("aria-live", "polite");
  return made;
}

/**
 * Browsers lend the clipboard to pages from this machine and from https only; elsewhere the old way may do.
 * @param {string} content
 */
async function copied(content) {
  if (navigator.clipboard) return navigator.clipboard.writeText(content).then(() => true, () => false);
  const field = make("textarea", { class: "unseen", "aria-hidden": "true" });
  field.value = content;
  document.body.append(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  return isCopied;
}

/**
 * @param {string} content
 * @param {string} name
 */
function save(content, name) {
  const address = URL.createObjectURL(new Blob([content], { type: "application/json" }));
  make("a", { href: address, download: name }).click();
  // The browser reads it while it saves.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
