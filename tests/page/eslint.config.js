import js from "@eslint/js";
import globals from "globals";

const rules = {
  ...js.configs.recommended.rules,
  "no-var": "error",
  "prefer-const": "error",
  eqeqeq: "error",
  "no-eval": "error",
  "no-implied-eval": "error",
  "no-restricted-properties": [
    "error",
    { property: "innerHTML", message: "Put text in as text." },
    { property: "outerHTML", message: "Put text in as text." },
    { property: "insertAdjacentHTML", message: "Put text in as text." },
  ],
};

export default [
  { files: ["src/server/page/*.js"], languageOptions: { globals: globals.browser }, rules },
  { files: ["clients/typescript/*.js"], languageOptions: { globals: globals["shared-node-browser"] }, rules },
  {
    files: ["tests/page/**/*.js", "clients/typescript/test/*.js"],
    languageOptions: { globals: { ...globals.node, ...globals.browser } },
    rules,
  },
];
