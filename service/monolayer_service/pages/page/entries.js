// The list of chosen images. An entry is the file, what was asked of the service, and what it answered.

import { byId, element } from "./dom.js";
import { confluencyInWords, countsInWords } from "./words.js";

const THUMBNAIL_PX = 40;

/**
 * Make the entry of a file, and its place in the list.
 *
 * `state` is waiting, working, done, failed or cancelled; `note` how far the work is; `preview` and `result` what the
 * service gave, `other` the answer of the other method; `error` why the last run failed.
 */
export function makeEntry(file, { onSelect, onRemove }) {
  const entry = { file, state: "waiting", note: "", progress: null, preview: null, result: null, other: null, isComparing: false, error: null, controller: null };
  entry.thumbnail = element("canvas", { class: "thumbnail", width: THUMBNAIL_PX, height: THUMBNAIL_PX, "aria-hidden": "true" });
  entry.noteNode = element("span", { class: "note" });
  entry.button = element("button", { type: "button", class: "entry", click: () => onSelect(entry) },
    entry.thumbnail, element("span", { class: "name", text: file.name, title: file.name }), entry.noteNode);
  const remove = element("button", { type: "button", class: "plain remove", "aria-label": `Remove ${file.name}`, click: () => onRemove(entry), text: "×" });
  entry.node = element("li", {}, entry.button, remove);
  byId("entries").append(entry.node);
  return entry;
}

/** Bring an entry's place in the list up to date. */
export function renderEntry(entry, isSelected) {
  entry.node.dataset.state = entry.state;
  entry.button.setAttribute("aria-current", isSelected ? "true" : "false");
  entry.noteNode.textContent = noteOf(entry);
}

function noteOf({ state, note, result, error }) {
  if (state === "waiting") return "waiting";
  if (state === "working") return note || "sending";
  if (state === "cancelled") return "cancelled";
  if (state === "failed") return `failed: ${error.message}`;
  const { answer } = result;
  return `${countsInWords(answer.counts)}, ${confluencyInWords(answer.confluency)}${answer.fallback ? ", by K-means instead" : ""}`;
}

/** Draw the small picture of an entry. */
export async function drawThumbnail({ thumbnail, preview }) {
  const bitmap = await createImageBitmap(preview.blob);
  const side = Math.min(bitmap.width, bitmap.height);
  const [x, y] = [(bitmap.width - side) / 2, (bitmap.height - side) / 2];
  thumbnail.getContext("2d").drawImage(bitmap, x, y, side, side, 0, 0, THUMBNAIL_PX, THUMBNAIL_PX);
  bitmap.close();
}
