// @ts-check
// The types of clients/typescript: openapi.d.ts from the description that a daemon serves, faceood.d.ts from the comments in
// faceood.js. node client-types.js http://127.0.0.1:7860 writes both anew.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import openapiTS, { astToString } from "openapi-typescript";

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));
export const SHAPES = here("../../clients/typescript/openapi.d.ts");
export const DECLARATIONS = here("../../clients/typescript/faceood.d.ts");

/** Shapes of bodies that the client makes by itself. */
const UNUSED = ["Binary", "CompareRequest", "CompareSide", "ImageForm", "ImageRequest", "PairForm"];

/**
 * The shapes of what a daemon takes and answers.
 * @param {string} address
 * @returns {Promise<string>}
 */
export async function shapes(address) {
  const response = await fetch(new URL("/openapi.json", address));
  /** @type {any} */
  const description = await response.json();
  // Only the shapes: the client knows the paths.
  description.paths = {};
  for (const name of UNUSED) delete description.components.schemas[name];
  const text = astToString(await openapiTS(description));
  return `// Made from the service's /openapi.json by tests/page/client-types.js; do not edit.\n\n${text}`;
}

/**
 * The client's own declarations.
 * @returns {Promise<string>}
 */
export async function declarations() {
  const folder = await mkdtemp(join(tmpdir(), "faceood-types-"));
  try {
    await promisify(execFile)(here("node_modules/.bin/tsc"), [
      "--declaration", "--emitDeclarationOnly", "--allowJs", "--checkJs", "--strict", "--target", "es2022", "--module", "nodenext",
      "--lib", "es2023,dom,dom.iterable", "--types", "node", "--typeRoots", here("node_modules/@types"), "--outDir", folder, here("../../clients/typescript/faceood.js"),
    ]);
    return await readFile(join(folder, "faceood.d.ts"), "utf8");
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(SHAPES, await shapes(process.argv[2] ?? "http://127.0.0.1:7860"));
  await writeFile(DECLARATIONS, await declarations());
}
