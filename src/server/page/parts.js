// @ts-check
// What both functions show of a face: its score on a scale, what pulls it down, what to do about it.

import { icon, make, percent, styled } from "./dom.js";
import { components, marks, number, text } from "./texts.js";

/** @typedef {import("./faceood.js").Face} Face */
/** @typedef {import("./texts.js").Component} Component */
/** @typedef {{code: string, message: string}} Hint */

/** Where grades begin, as the contract cuts them. */
const GRADE_CUTS = [0.3, 0.4, 0.6, 0.8];

/** The contract puts every face that is surely covered below .40, however alike it is. */
const COVERED_AT_MOST = 0.39;

/** @param {"accept" | "review" | "reject" | string} action */
export function actionMark(action) {
  return make("span", { class: `mark ${action}` }, icon(action), text(`action_${action}`));
}

/** @param {number} value @param {number} [digits] */
const share = (value, digits = 0) => `${value > 0.995 && value < 1 ? "> 99" : (value * 100).toFixed(digits)}${marks().percent}`;

/**
 * The score with its grade, and on a scale with the interval of another shot.
 * @param {Face["quality"]} quality
 */
export function scoreScale(quality) {
  const { score, grade, interval, causes } = quality;
  const isCapped = interval[1].toFixed(2) === COVERED_AT_MOST.toFixed(2) && causes.some(({ name }) => ["mask", "occlusion"].includes(name));
  const [low, high] = interval.map(number);
  const label = text("quality_is", { score: number(score), grade: text(`grade_${grade}`), low, high });
  const scale = make("div", { class: "scale score", role: "img", "aria-label": label });
  for (const cut of GRADE_CUTS) {
    scale.append(styled(make("span", { class: "cut" }, make("span", {}, number(cut).slice(1))), { left: percent(cut) }));
  }
  const [from, to] = interval;
  scale.append(styled(make("span", { class: "band" }), { left: percent(from), width: percent(to - from) }));
  scale.append(styled(make("span", { class: "needle" }), { left: percent(score) }));
  return make("div", { class: `quality ${grade}` },
    make("p", { class: "score-line" }, make("strong", { class: "big" }, number(score)), make("span", { class: `grade ${grade}` }, text(`grade_${grade}`))),
    scale,
    make("p", { class: "quiet" }, isCapped ? text("capped", { cap: number(COVERED_AT_MOST) }) : text("interval", { low, high })));
}

/** @param {Face["quality"]["causes"]} causes */
export function causeList(causes) {
  if (causes.length === 0) return make("p", {}, text("no_causes"));
  return make("ul", { class: "causes" }, ...causes.map((cause) => make("li", {},
    make("span", {}, text(`cause_${cause.name}`)),
    styled(make("span", { class: "bar", "aria-hidden": "true" }), { "--share": percent(cause.weight) }),
    make("span", { class: "quiet" }, share(cause.weight)))));
}

/**
 * What to do. The advice for the camera comes from the service; where it has none for a face that is not accepted, the page
 * says what somebody with a file can do.
 * @param {Hint[]} hints
 * @param {Face["decision"]} decision
 */
export function adviceList(hints, { action, scenario }) {
  if (hints.length > 0) return make("ul", { class: "advice" }, ...hints.map((hint) => make("li", {}, text(`hint_${hint.code}`))));
  return make("p", {}, action === "accept" ? text("no_advice", { scenario }) : text("advice_other"));
}

/**
 * @param {string} heading
 * @param {Node} content
 */
export const part = (heading, content) => make("div", { class: "part" }, make("h4", {}, heading), content);

/** @param {Face} face */
export function facts(face) {
  const rows = [
    [text("pass_probability"), share(face.quality.pass_probability)],
    [text("norm"), number(face.embedding_norm), text("norm_about")],
    [text("detection"), share(face.detection_score)],
    [text("size"), `${Math.round(face.box.width)} × ${Math.round(face.box.height)} ${text("unit_px")}`],
  ];
  return make("dl", {}, ...rows.map(([name, value, remark]) =>
    make("div", {}, make("dt", {}, name, remark && make("span", { class: "quiet" }, remark)), make("dd", {}, value))));
}

/**
 * Ends of the bars. Only for the eye: a value beyond an end stands at the end.
 * @type {Record<string, [number, number]>}
 */
const ENDS = {
  sharpness: [0, 4],
  luminance_variance: [0, 0.1],
  dynamic_range: [0, 8],
  noise: [0, 30],
  inter_eye_distance: [0, 150],
  head_pose_yaw: [-90, 90],
  head_pose_pitch: [-90, 90],
  head_pose_roll: [-90, 90],
};

/** Whether few good photos have such a value; a better one than usual is no outlier. @param {number} value @param {Component} component */
function isOutlier(value, component) {
  const [low, high] = component.usual;
  return (value < low && component.direction !== "lower_is_better") || (value > high && component.direction !== "higher_is_better");
}

/** @param {Record<string, number | null>} values */
export function componentTable(values) {
  const all = components();
  const motion = all.find(({ name }) => name === "motion_blur");
  const isMoved = motion && isOutlier(values.motion_blur ?? 0, motion);
  // What does not move has no direction.
  const shown = all.filter(({ name }) => name !== "motion_direction" || isMoved);
  return make("table", { class: "components" },
    make("caption", { class: "quiet" }, text("usual")),
    make("thead", {}, make("tr", {},
      make("th", { scope: "col" }, text("component")), make("td", {}), make("th", { scope: "col", class: "value" }, text("value")))),
    make("tbody", {}, ...shown.map((component) => componentRow(component, values[component.name]))));
}

/** @param {Component} component @param {number | null | undefined} value */
function componentRow(component, value) {
  const bar = make("span", { class: "bar", "aria-hidden": "true" });
  const isAngle = component.name === "motion_direction";
  const isUnusual = typeof value === "number" && !isAngle && isOutlier(value, component);
  if (!isAngle) {
    const [low, high] = ENDS[component.name] ?? [0, 1];
    const at = (/** @type {number} */ to) => Math.min(1, Math.max(0, (to - low) / (high - low)));
    // A better value than usual is as good.
    const [from, to] = [component.direction === "lower_is_better" ? low : component.usual[0],
      component.direction === "higher_is_better" ? high : component.usual[1]].map(at);
    bar.append(styled(make("span", { class: "usual" }), { left: percent(from), width: percent(to - from) }));
    if (typeof value === "number") bar.append(styled(make("span", { class: "needle" }), { left: percent(at(value)) }));
  }
  return make("tr", { class: isUnusual ? "outlier" : "", "data-component": component.name },
    make("th", { scope: "row" }, text(`component_${component.name}`), make("span", { class: "quiet" }, `${text(`unit_${component.unit}`)} · ${text(component.direction)}`)),
    make("td", { class: "of-bar" }, !isAngle && bar),
    make("td", { class: "value" }, make("span", {}, typeof value === "number" ? measured(value, component) : text("not_assessed")),
      isUnusual && make("span", { class: "quiet" }, text("outlier"))));
}

/** @param {number} value @param {Component} component */
function measured(value, { unit }) {
  const digits = unit === "px" ? 0 : unit === "deg" || unit === "level" || unit === "bit" ? 1 : 2;
  const shown = value.toFixed(digits).replace(/^-(0(?:\.0+)?)$/, "$1");
  if (unit === "index" || unit === "share") return shown;
  return unit === "deg" ? `${shown}°` : `${shown} ${text(`unit_${unit}`)}`;
}

/**
 * How long it took and under which name the log has it.
 * @param {{request_id: string, timings_ms: {total: number}}} answer
 */
export function trace(answer) {
  return make("p", { class: "quiet trace" }, text("took", { ms: answer.timings_ms.total.toFixed(0) }),
    " · ", text("request_id", { id: answer.request_id }));
}
