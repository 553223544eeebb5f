// Monolayer's page: images in, their objects and numbers out. All of it is asked of the service that served the page.

import { byId } from "./dom.js";
import { drawThumbnail, makeEntry, renderEntry } from "./entries.js";
import { renderOverview, saveOverview } from "./overview.js";
import { Queue } from "./queue.js";
import { ResultView } from "./result.js";
import { listModels, preview, readState, segment } from "./service.js";
import { followMethod, forTheOtherMethod, offerModels, planeOf, readSettings } from "./settings.js";
import { confluencyInWords, countsInWords, format, progressInWords } from "./words.js";

const LARGE_PX = 4_000_000; // from here on the service is asked to tell how far it is
const NARROW = "(max-width: 60rem)";

const entries = [];
const queue = new Queue();
let selected = null;

const view = new ResultView((entry, error) => update(entry, { error }));

const announce = (text) => (byId("announcer").textContent = text);

/** Change an entry and all that shows it. */
function update(entry, changes) {
  Object.assign(entry, changes);
  renderEntry(entry, entry === selected);
  if (entry === selected) view.show(entry);
  if ("result" in changes) renderOverview(entries, select);
  renderActions();
}

function renderActions() {
  const isBusy = entries.some(({ state }) => state === "waiting" || state === "working");
  byId("entries-actions").hidden = !entries.length;
  byId("cancel-all").disabled = !isBusy;
  byId("run").disabled = !selected;
}

function select(entry) {
  const before = selected;
  selected = entry;
  if (before) renderEntry(before, false);
  if (entry) renderEntry(entry, true);
  view.show(entry);
  renderActions();
}

function addFiles(files) {
  const added = [...files].map((file) => makeEntry(file, { onSelect: select, onRemove: remove }));
  entries.push(...added);
  added.forEach(runWithSettings);
  if (added.length && !selected?.result) select(added[0]);
}

function remove(entry) {
  entry.controller?.abort();
  const index = entries.indexOf(entry);
  entries.splice(index, 1);
  entry.node.remove();
  if (entry === selected) select(entries[Math.min(index, entries.length - 1)] ?? null);
  (selected?.button ?? byId("files")).focus();
  renderOverview(entries, select);
  renderActions();
}

function cancel(entry) {
  if (entry.state !== "waiting" && entry.state !== "working") return;
  entry.controller.abort();
  update(entry, { state: entry.result ? "done" : "cancelled", isComparing: entry.isComparing && Boolean(entry.other) });
  announce(`${entry.file.name}: cancelled`);
}

function runWithSettings(entry) {
  let options;
  try {
    options = readSettings();
  } catch (error) {
    return update(entry, { state: "failed", error });
  }
  run(entry, options);
}

function run(entry, options) {
  start(entry, async (watch) => {
    await lookAt(entry, options, watch);
    const result = await ask(entry, options, watch);
    update(entry, { state: "done", result, other: null, isComparing: false });
    const { counts, confluency, fallback } = result.answer;
    announce(`${entry.file.name}: ${countsInWords(counts)}, confluency ${confluencyInWords(confluency)}${fallback ? `. K-means answered instead of the network: ${fallback.reason}` : ""}`);
  });
}

function compare(entry) {
  if (entry.isComparing || entry.other) return update(entry, { isComparing: !entry.isComparing });
  const { options, answer } = entry.result;
  entry.isComparing = true;
  start(entry, async (watch) => {
    const other = await ask(entry, forTheOtherMethod(options, answer.method), watch);
    update(entry, { state: "done", other });
    announce(`${entry.file.name}: the other method found ${countsInWords(other.answer.counts)}, confluency ${confluencyInWords(other.answer.confluency)}`);
  });
}

/** Queue work on an entry in place of what is under way for it. */
function start(entry, work) {
  entry.controller?.abort();
  const { signal } = (entry.controller = new AbortController());
  update(entry, { state: "waiting", note: "", progress: null, error: null });
  const watch = {
    signal,
    onWait: (seconds) => update(entry, { note: `the service is busy; asking again in ${format(seconds, 0)} s`, progress: null }),
    onProgress: (progress) => {
      const share = progress.total_megapixels ? progress.done_megapixels / progress.total_megapixels : null;
      update(entry, { note: progressInWords(progress), progress: progress.stage === "inference" ? share : null });
    },
  };
  queue.add(signal, async () => {
    update(entry, { state: "working" });
    try {
      await work(watch);
    } catch (error) {
      if (signal.aborted) return;
      update(entry, { state: "failed", error, isComparing: false });
      announce(`${entry.file.name} failed: ${error.message}`);
    }
  });
}

/** Get a picture of the plane that the options choose, where it is not the one that is there. */
async function lookAt(entry, options, watch) {
  const plane = planeOf(options);
  const key = JSON.stringify(plane);
  if (entry.preview?.key === key) return;
  const picture = { ...(await preview(entry.file, plane, watch)), key };
  update(entry, { preview: picture, result: null, other: null, isComparing: false });
  await drawThumbnail(entry);
}

async function ask(entry, options, watch) {
  const isLarge = entry.preview.height * entry.preview.width > LARGE_PX;
  update(entry, { note: "finding objects" });
  return { file: entry.file, options, ...(await segment(entry.file, options, watch, isLarge)) };
}

function listen() {
  byId("files").addEventListener("change", ({ target }) => {
    addFiles(target.files);
    target.value = "";
  });
  const drop = byId("drop");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("is-over");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("is-over");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("is-over");
    addFiles(event.dataTransfer.files);
  });
  document.addEventListener("paste", ({ clipboardData }) => addFiles(clipboardData.files));
  byId("run-all").addEventListener("click", () => entries.forEach(runWithSettings));
  byId("cancel-all").addEventListener("click", () => entries.forEach(cancel));
  byId("remove-all").addEventListener("click", () => [...entries].forEach(remove));
  byId("cancel").addEventListener("click", () => cancel(selected));
  byId("compare").addEventListener("click", () => compare(selected));
  byId("save-overview").addEventListener("click", () => saveOverview(entries));
  const settings = byId("settings");
  settings.addEventListener("submit", (event) => {
    event.preventDefault();
    runWithSettings(selected);
  });
  settings.addEventListener("change", followMethod);
  settings.addEventListener("invalid", ({ target }) => {
    for (let folded = target.closest("details"); folded; folded = folded.parentElement.closest("details")) folded.open = true;
  }, true);
  settings.addEventListener("reset", () => setTimeout(followMethod));
}

/** Ask the service what it can do; the page works, and says so, where a part of that fails. */
async function meetService() {
  const [state, models] = await Promise.allSettled([readState(), listModels()]);
  if (models.status === "fulfilled") offerModels(models.value);
  const place = byId("service-state");
  place.dataset.state = state.status === "fulfilled" && !state.value.problem ? "ready" : "problem";
  place.textContent = state.status === "rejected" ? state.reason.message : state.value.problem ? `Not ready: ${state.value.problem}` : `Ready, version ${state.value.version}`;
}

listen();
if (matchMedia(NARROW).matches) byId("settings-panel").open = false;
meetService();
