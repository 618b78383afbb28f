// @ts-check
// The types of clients/typescript/openapi.d.ts, from the description that a daemon serves:
// node openapi-types.js http://127.0.0.1:7860 writes them anew.

import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";

export const TYPES = fileURLToPath(new URL("../../clients/typescript/openapi.d.ts", import.meta.url));

/** Shapes of bodies that the client makes by itself. */
const UNUSED = ["Binary", "CompareRequest", "CompareSide", "ImageForm", "ImageRequest", "PairForm"];

/**
 * @param {string} address of a daemon
 * @returns {Promise<string>}
 */
export async function typesOf(address) {
  const response = await fetch(new URL("/openapi.json", address));
  /** @type {any} */
  const description = await response.json();
  // Only the shapes: the client knows the paths.
  description.paths = {};
  for (const name of UNUSED) delete description.components.schemas[name];
  const text = astToString(await openapiTS(description));
  return `// Made from the service's /openapi.json by tests/page/openapi-types.js; do not edit.\n\n${text}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(TYPES, await typesOf(process.argv[2] ?? "http://127.0.0.1:7860"));
}
