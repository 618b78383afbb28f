// @ts-check
// Compare: the verdict, why it is this one, and what both pictures are worth.

import { icon, make, percent, styled } from "./dom.js";
import { actionMark, adviceList, causeList, part, scoreScale, trace } from "./parts.js";
import { shorterSide } from "./policy.js";
import { marks, number, text } from "./texts.js";

/** @typedef {import("./faceood.js").Comparison} Comparison */
/** @typedef {import("./faceood.js").Face} Face */
/** @typedef {import("./faceood.js").Info} Info */

/** Two faces that have nothing in common come out around 0: a little room to the left of it. */
const SCALE = [-0.2, 1];
const SIDES = /** @type {const} */ (["probe", "reference"]);

/**
 * @param {Comparison} answer
 * @param {Info | undefined} info for the cuts of a scenario
 * @returns {Node[]}
 */
export function showComparison(answer, info) {
  const { verdict } = answer;
  return [
    make("article", { class: `verdict ${verdict}`, "data-verdict": verdict },
      make("h3", {}, icon(verdict), text(`verdict_${verdict}`)),
      make("p", {}, why(answer, info)),
      ...crowded(answer).map((name) => make("p", {}, text("largest_compared", { side: text(name) }))),
      similarityScale(answer)),
    make("div", { class: "cards" }, ...SIDES.map((name) => sideCard(answer, name))),
    trace(answer),
  ];
}

/** The verdict in a breath, for those who hear the page. @param {Comparison} answer @param {Info | undefined} info */
export function sayComparison(answer, info) {
  return `${text(`verdict_${answer.verdict}`)}${marks().stop}${why(answer, info)}`;
}

/**
 * In one line, why the verdict is this one.
 * @param {Comparison} answer
 * @param {Info | undefined} info
 */
function why(answer, info) {
  const values = {
    similarity: number(answer.similarity),
    same: number(answer.thresholds.same),
    different: number(answer.thresholds.different),
  };
  const sides = SIDES.map((name) => ({ name, side: face(answer, name) }));
  if (answer.verdict === "untrusted") {
    const reasons = sides.filter(({ side }) => side.decision.action === "reject").flatMap(({ name, side }) =>
      side.decision.reasons.map((reason) => refusal(reason, text(name), side, info)));
    return text("why_untrusted", { reasons: reasons.join(marks().gap) });
  }
  if (answer.verdict === "review" && answer.similarity >= answer.thresholds.same) {
    const unsure = sides.filter(({ side }) => side.decision.action === "review").map(({ name }) => text(name));
    return text("why_review_quality", { ...values, sides: unsure.join(marks().list) });
  }
  return text(`why_${answer.verdict}`, values);
}

/**
 * @param {string} reason
 * @param {string} side
 * @param {Face} face
 * @param {Info | undefined} info
 */
function refusal(reason, side, face, info) {
  const policy = info?.policies[face.decision.scenario];
  /** @type {Record<string, string | number>} */
  const values = reason === "face_too_small"
    ? { px: Math.round(shorterSide(face.box)), cut: policy?.min_face_px ?? "?" }
    : { score: number(face.quality.score), cut: policy ? number(policy.review) : "?" };
  return text(`why_${reason}`, { ...values, side });
}

/** The sides whose picture shows several people. @param {Comparison} answer */
const crowded = (answer) => SIDES.filter((name) => answer.hints.some((hint) => hint.part === name && hint.code === "several_faces"));

/** The page gives pictures, never embeddings, so both sides have a face. @param {Comparison} answer @param {"probe" | "reference"} name */
const face = (answer, name) => /** @type {Face} */ (answer[name]);

/** @param {Comparison} answer */
function similarityScale(answer) {
  const { similarity, thresholds, verdict } = answer;
  const at = (/** @type {number} */ value) => percent((value - SCALE[0]) / (SCALE[1] - SCALE[0]));
  const { same, different } = thresholds;
  const label = text("similarity_is", { similarity: number(similarity), same: number(same), different: number(different) });
  /** @type {[string, number, number][]} */
  const zones = [["different", SCALE[0], different], ["review", different, same], ["same", same, SCALE[1]]];
  const scale = make("div", { class: "scale similarity", role: "img", "aria-label": label },
    ...zones.map(([name, from, to]) => styled(make("span", { class: `zone ${name}` }, make("span", {}, text(`zone_${name}`))),
      { left: at(from), width: percent((to - from) / (SCALE[1] - SCALE[0])) })),
    ...[different, same].map((cut, index) => styled(make("span", { class: index === 0 ? "cut low" : "cut high" },
      make("span", {}, number(cut).slice(1))), { left: at(cut) })),
    styled(make("span", { class: "needle" }), { left: at(similarity) }));
  const isIgnored = verdict === "untrusted";
  return make("div", { class: isIgnored ? "similarity-line ignored" : "similarity-line" },
    make("p", {}, make("span", { class: "quiet" }, text("similarity")), " ", make("strong", {}, number(similarity)),
      isIgnored && make("span", { class: "quiet" }, ` ${text("similarity_ignored")}`)),
    scale);
}

/** @param {Comparison} answer @param {"probe" | "reference"} name */
function sideCard(answer, name) {
  const side = face(answer, name);
  const hints = answer.hints.filter((hint) => hint.part === name);
  return make("article", { class: "card", "data-side": name },
    make("h3", {}, text(name), actionMark(side.decision.action)),
    scoreScale(side.quality),
    part(text("causes"), causeList(side.quality.causes)),
    part(text("advice"), adviceList(hints, side.decision)));
}
