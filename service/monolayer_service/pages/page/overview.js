// Several images side by side: a chart and a table of their numbers.

import { drawConfluency } from "./charts.js";
import { byId, element, save } from "./dom.js";
import { confluencyInWords, countsInWords, format, methodInWords } from "./words.js";

const COLUMNS = ["Image", "Answered by", "Objects", "Confluency", "Flags"];

/** Show the answers that are there; nothing for fewer than two. */
export function renderOverview(entries, onSelect) {
  const answered = entries.filter(({ result }) => result);
  byId("overview").hidden = answered.length < 2;
  if (answered.length < 2) return;
  const images = answered.map(({ file, result: { answer } }) => ({
    name: file.name,
    percent: answer.confluency.percent,
    points: answer.confluency.uncertainty_points,
  }));
  drawConfluency(byId("bars"), images);
  const table = byId("overview-table");
  table.tHead.replaceChildren(element("tr", {}, ...COLUMNS.map((text, index) => element("th", { scope: "col", class: index < 2 || index === 4 ? "text" : null, text }))));
  table.tBodies[0].replaceChildren(...answered.map((entry) => row(entry, onSelect)));
}

function row(entry, onSelect) {
  const { answer } = entry.result;
  return element("tr", {},
    element("th", { scope: "row", class: "text" }, element("button", { type: "button", class: "plain link", click: () => onSelect(entry), text: entry.file.name })),
    element("td", { class: "text", text: `${methodInWords(answer)}${answer.fallback ? " (instead of the network)" : ""}` }),
    element("td", { title: countsInWords(answer.counts), text: format(answer.count, 0) }),
    element("td", { text: confluencyInWords(answer.confluency) }),
    element("td", { class: "text", text: answer.quality.flags.map((flag) => flag.replaceAll("_", " ")).join(", ") || "–" }),
  );
}

const NUMBERS = {
  image: ({ file }) => file.name,
  method: ({ result }) => result.answer.method,
  model: ({ result: { answer } }) => (answer.model ? `${answer.model.name}/${answer.model.version}` : ""),
  count: ({ result }) => result.answer.count,
  confluency_percent: ({ result }) => result.answer.confluency.percent,
  uncertainty_points: ({ result }) => result.answer.confluency.uncertainty_points ?? "",
  flags: ({ result }) => result.answer.quality.flags.join(" "),
};

/** Save the table of the answers that are there as CSV. */
export function saveOverview(entries) {
  const answered = entries.filter(({ result }) => result);
  const lines = [Object.keys(NUMBERS), ...answered.map((entry) => Object.values(NUMBERS).map((read) => read(entry)))];
  const text = lines.map((line) => line.map((cell) => quoted(String(cell))).join(",")).join("\r\n");
  save(new Blob([`${text}\r\n`], { type: "text/csv" }), "confluency.csv");
}

/** A cell of CSV; one that a spreadsheet would take for a formula begins with an apostrophe. */
function quoted(text) {
  const safe = /^[=+@\t\r]|^-\D/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
