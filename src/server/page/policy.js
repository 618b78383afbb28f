// @ts-check
// What each scenario makes of a face: the service answers for one scenario, the page shows all of them without asking again.
// The rules are those of the contract; a test holds them against the service's own decisions.

/** @typedef {import("./faceood.js").Face} Face */
/** @typedef {import("./faceood.js").Info["policies"][string]} Policy */
/** @typedef {{action: "accept" | "review" | "reject", reasons: string[]}} Decision */

/** @param {Face["box"]} box */
export const shorterSide = (box) => Math.min(box.width, box.height);

/**
 * Each rule votes and the worst vote wins; the reasons are the rules that cast it.
 * @param {Policy} policy
 * @param {Face} face
 * @param {number} faceCount
 * @returns {Decision}
 */
export function decide(policy, face, faceCount) {
  const { score } = face.quality;
  const isSmall = shorterSide(face.box) < policy.min_face_px;
  /** @type {[string, 0 | 1 | 2][]} */
  const votes = [
    ["quality", score >= policy.accept ? 0 : score >= policy.review ? 1 : 2],
    ["face_too_small", isSmall ? 2 : 0],
    ["several_faces", policy.single_face && faceCount > 1 ? 2 : 0],
  ];
  const worst = Math.max(...votes.map(([, vote]) => vote));
  return {
    action: /** @type {const} */ (["accept", "review", "reject"])[worst],
    reasons: votes.filter(([, vote]) => vote === worst && vote > 0).map(([reason]) => reason),
  };
}
