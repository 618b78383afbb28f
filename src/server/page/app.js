"use strict";

// The page talks to the service it came from and to nobody else. Whatever the service says is put in as text, never as markup.

const texts = JSON.parse(document.getElementById("texts").textContent);
const scenario = document.getElementById("scenario");

function text(key, values = {}) {
  const found = texts[key] ?? key;
  return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

function node(tag, content, className) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  for (const part of [content].flat()) if (part !== undefined && part !== null) made.append(part);
  return made;
}

const number = (value) => value.toFixed(2);

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error(text("unreachable"));
  }
  const body = await response.json();
  if (!response.ok) throw new Error(text("failed", { detail: body.detail ?? body.title }));
  return body;
}

function list(rows) {
  const made = node("dl");
  for (const [name, ...value] of rows) made.append(node("dt", name), node("dd", value));
  return made;
}

function meter(score) {
  const made = node("meter");
  Object.assign(made, { min: 0, max: 1, low: 0.4, high: 0.6, optimum: 1, value: score });
  made.setAttribute("aria-label", text("quality"));
  return made;
}

function card(title, side) {
  const made = node("article", node("h3", title), "card");
  const { quality, decision } = side;
  const rows = [];
  if (quality) {
    const grade = node("strong", text(`grade_${quality.grade}`), quality.grade);
    rows.push([text("quality"), `${number(quality.score)} `, grade, meter(quality.score)]);
    if (quality.interval) {
      const [low, high] = quality.interval.map(number);
      rows.push(["", node("span", text("interval", { low, high }), "quiet")]);
      rows.push([text("pass_probability"), `${Math.round(quality.pass_probability * 100)} %`]);
      const causes = quality.causes.map((cause) => text(`cause_${cause.name}`)).join(", ");
      rows.push([text("causes"), causes || text("no_causes")]);
    }
  } else {
    rows.push([text("quality"), text("not_given")]);
  }
  rows.push([text("action"), node("strong", text(`action_${decision.action}`), decision.action)]);
  made.append(list(rows));
  if (side.embedding) {
    made.append(node("p", `${text("embedding")}: ${side.embedding.length}`, "quiet"));
  }
  // Browsers lend the clipboard to pages from this machine and from https only.
  if (side.embedding && navigator.clipboard) {
    const copy = node("button", text("copy"));
    copy.type = "button";
    copy.addEventListener("click", async () => {
      await navigator.clipboard.writeText(JSON.stringify(side.embedding));
      copy.textContent = text("copied");
    });
    made.append(copy);
  }
  return made;
}

function hints(answer) {
  return answer.hints.map((hint) => node("p", hint.message));
}

function requestId(answer) {
  return node("p", `${text("request_id")} ${answer.request_id}`, "quiet");
}

function showComparison(answer) {
  return [
    node("p", text(`verdict_${answer.verdict}`), `verdict ${answer.verdict}`),
    node("p", `${text("similarity")}: ${number(answer.similarity)}`),
    ...hints(answer),
    node("div", [card(text("probe"), answer.probe), card(text("reference"), answer.reference)], "cards"),
    requestId(answer),
  ];
}

function showExtraction(answer) {
  const cards = answer.faces.map((face, index) => card(text("face", { number: index + 1 }), face));
  return [...hints(answer), node("div", cards, "cards"), requestId(answer)];
}

function setUp(id, path, show) {
  const section = document.getElementById(id);
  const form = section.querySelector("form");
  const answer = section.querySelector(".answer");
  const button = form.querySelector("button[type=submit]");

  for (const label of form.querySelectorAll(".picture")) {
    const input = label.querySelector("input");
    const preview = label.querySelector("img");
    input.addEventListener("change", () => {
      if (preview.src) URL.revokeObjectURL(preview.src);
      const [file] = input.files;
      preview.hidden = !file;
      if (file) preview.src = URL.createObjectURL(file);
    });
    // Browsers that cannot show a type (TIFF, say) keep quiet about it; the service can still read it.
    preview.addEventListener("error", () => { preview.hidden = true; });
    label.addEventListener("dragover", (event) => {
      event.preventDefault();
      label.classList.add("over");
    });
    label.addEventListener("dragleave", () => label.classList.remove("over"));
    label.addEventListener("drop", (event) => {
      event.preventDefault();
      label.classList.remove("over");
      input.files = event.dataTransfer.files;
      input.dispatchEvent(new Event("change"));
    });
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    answer.replaceChildren(node("p", text("working"), "quiet"));
    try {
      const query = scenario.value ? `?scenario=${encodeURIComponent(scenario.value)}` : "";
      const faces = id === "extract" ? `${query ? "&" : "?"}faces=all` : "";
      const body = new FormData(form);
      answer.replaceChildren(...show(await ask(path + query + faces, { method: "POST", body })));
    } catch (error) {
      answer.replaceChildren(node("p", error.message, "failure"));
    } finally {
      button.disabled = false;
    }
  });
}

function select(chosen) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", String(isChosen));
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !isChosen;
  }
}

async function describe() {
  const provider = document.getElementById("provider");
  try {
    const info = await ask("v1/info");
    const { name, version } = info.pack;
    provider.textContent = text("provider", { provider: info.provider.name, pack: name, version });
    provider.title = info.provider.reason;
    if (info.privacy.keeps_thumbnails) document.getElementById("privacy").textContent = text("privacy_kept");
    for (const known of Object.keys(info.policies)) {
      const option = node("option", known);
      option.selected = known === info.default_scenario;
      scenario.append(option);
    }
  } catch {
    provider.textContent = text("provider_unknown");
  }
}

for (const tab of document.querySelectorAll("[role=tab]")) tab.addEventListener("click", () => select(tab));
setUp("compare", "v1/compare", showComparison);
setUp("extract", "v1/extract", showExtraction);
describe();
