// @ts-check
import assert from "node:assert/strict";
import { FaceoodError } from "../faceood.js";

/**
 * @param {Promise<unknown>} promise
 * @param {string} code
 * @returns {Promise<FaceoodError>}
 */
export async function failure(promise, code) {
  const error = await promise.then(() => assert.fail("it did not fail"), (found) => found);
  assert.ok(error instanceof FaceoodError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}
