// One image's answer on the page: notices, numbers, pictures, objects, sizes, downloads, origin.

import { drawHistogram } from "./charts.js";
import { byId, element, terms } from "./dom.js";
import { Downloads } from "./downloads.js";
import { ObjectTable } from "./objects.js";
import { CLASS_COLOURS, Picture } from "./picture.js";
import { paintLabels } from "./rle.js";
import { FLAGS, MEASUREMENTS, adviceFor, confluencyInWords, countsInWords, format, methodInWords, plural, short } from "./words.js";

const ZOOMS = [1, 1.5, 2, 3, 4, 6, 8];
const DIGEST_START = 12;

/** Shows one entry of the list, and follows it as its answer comes. */
export class ResultView {
  #picture = new Picture(byId("picture"), (label) => this.#choose(label));
  #otherPicture = new Picture(byId("other-picture"), () => {});
  #table = new ObjectTable({ table: byId("objects"), pager: byId("pager"), details: byId("object") }, (label) => this.#choose(label));
  #downloads = new Downloads({ buttons: byId("downloads"), progress: byId("download-bar"), note: byId("download-note") });
  #shown = {};
  #zoom = 0;
  #onError;

  /** @param {function(object, ?Error)} onError is told of an entry whose download failed, null when one is tried again */
  constructor(onError) {
    this.#onError = onError;
    this.#listen();
    this.#magnify(0);
  }

  /** Show an entry, or that there is none. */
  async show(entry) {
    renderHead(entry);
    renderProgress(entry);
    renderNotices(entry);
    const { preview = null, result = null } = entry ?? {};
    const other = entry?.isComparing ? entry.other : null;
    byId("workspace").hidden = !preview;
    byId("workspace").classList.toggle("is-pending", !result);
    byId("workspace").classList.toggle("is-comparing", Boolean(other));
    byId("figures").hidden = !result;
    const isAsShown = this.#shown.preview === preview && this.#shown.result === result && this.#shown.other === other;
    if (isAsShown || !preview) return;
    this.#shown = { preview, result, other };
    const bitmap = await createImageBitmap(preview.blob);
    if (this.#shown.preview !== preview || this.#shown.result !== result || this.#shown.other !== other) return;
    const painted = showIn(this.#picture, byId("picture"), entry.file.name, bitmap, preview, result);
    byId("caption").textContent = captionOf(result, preview);
    byId("other-figure").hidden = byId("agreement").hidden = !other;
    if (other) {
      const otherPainted = showIn(this.#otherPicture, byId("other-picture"), entry.file.name, bitmap, preview, other);
      byId("other-caption").textContent = captionOf(other, preview);
      byId("agreement").textContent = agreement(painted.labels, otherPainted.labels);
    }
    if (result) this.#renderAnswer(entry, result);
  }

  #renderAnswer(entry, result) {
    const { answer } = result;
    byId("figures").replaceChildren(...figuresOf(answer));
    byId("objects-title").textContent = `Objects (${format(answer.count, 0)})`;
    this.#table.show(answer.instances);
    renderLegend(answer);
    const size = answer.image.pixel_size_um === null ? "area_px" : "area_um2";
    const [, unit, digits] = MEASUREMENTS[size];
    drawHistogram(byId("histogram"), answer.instances.map((one) => one[size]), { name: "Area", unit, digits });
    this.#downloads.show(result, (error) => {
      if (error || entry.error?.download) this.#onError(entry, error);
    });
    byId("origin").replaceChildren(...originOf(answer));
  }

  #choose(label) {
    this.#picture.choose(label);
    this.#table.choose(label);
  }

  #listen() {
    const restyle = (changes) => [this.#picture, this.#otherPicture].forEach((picture) => picture.restyle(changes));
    byId("show-objects").addEventListener("change", ({ target }) => restyle({ isShown: target.checked }));
    byId("draw-as").addEventListener("change", ({ target }) => restyle({ isFilled: target.value === "filled" }));
    byId("colour-by").addEventListener("change", ({ target }) => {
      restyle({ byClass: target.value === "class" });
      byId("legend").hidden = target.value !== "class";
    });
    byId("opacity").addEventListener("input", ({ target }) => restyle({ opacity: target.value / 100 }));
    byId("zoom-in").addEventListener("click", () => this.#magnify(1));
    byId("zoom-out").addEventListener("click", () => this.#magnify(-1));
    const frames = [byId("frame"), byId("other-frame")];
    frames.forEach((frame, index) => {
      const twin = frames[1 - index];
      frame.addEventListener("scroll", () => twin.scrollTo(frame.scrollLeft, frame.scrollTop));
    });
  }

  #magnify(step) {
    this.#zoom = Math.min(Math.max(this.#zoom + step, 0), ZOOMS.length - 1);
    const zoom = ZOOMS[this.#zoom];
    for (const name of ["picture", "other-picture"]) byId(name).style.setProperty("--zoom", zoom);
    byId("zoom-level").textContent = `${100 * zoom} %`;
    byId("zoom-out").disabled = this.#zoom === 0;
    byId("zoom-in").disabled = this.#zoom === ZOOMS.length - 1;
  }
}

function showIn(picture, canvas, name, bitmap, { factor, height, width }, result) {
  const objects = result?.answer.instances ?? [];
  const painted = paintLabels(objects.map(({ rle }) => rle), height, width, factor);
  const classes = Object.keys(result?.answer.counts ?? {});
  picture.show(bitmap, painted, Int32Array.from(objects, (one) => classes.indexOf(one.class)));
  const found = result ? ` with ${countsInWords(result.answer.counts)} marked. The table of objects says the same in words.` : "";
  canvas.setAttribute("aria-label", `${name}${found}`);
  return painted;
}

function captionOf(result, { factor }) {
  const scale = factor === 1 ? "" : `, shown at 1/${factor} of its size`;
  if (!result) return `The image as the networks see it${scale}`;
  const { answer } = result;
  return `${methodInWords(answer)}: ${countsInWords(answer.counts)}, ${confluencyInWords(answer.confluency)}${scale}`;
}

/** How far two masks agree: Dice's coefficient, as a sentence. */
function agreement(first, second) {
  let [both, sum] = [0, 0];
  for (let index = 0; index < first.length; index++) {
    const [one, two] = [first[index] > 0, second[index] > 0];
    both += one && two;
    sum += one + two;
  }
  if (!sum) return "Neither method found an object.";
  return `The two masks overlap by ${format((200 * both) / sum, 0)} % (Dice’s coefficient).`;
}

function renderHead(entry) {
  byId("result-actions").hidden = !entry;
  if (!entry) {
    byId("result-title").textContent = "No image yet";
    byId("result-meta").textContent = "Choose an image to see its objects, counts and confluency. It is sent to this service only, and is not stored.";
    return;
  }
  const { file, preview, result, state } = entry;
  byId("result-title").textContent = file.name;
  const image = result?.answer.image;
  const known = image ?? preview;
  byId("result-meta").textContent = [
    known && `${format(known.width, 0)} × ${format(known.height, 0)} px`,
    image && `${image.channels === 1 ? "grey" : "RGB"}, ${image.dtype}`,
    image && (image.pixel_size_um ? `${short(image.pixel_size_um)} µm a pixel` : "pixel size unknown"),
  ].filter(Boolean).join(" · ");
  const isBusy = state === "waiting" || state === "working";
  byId("cancel").hidden = !isBusy;
  const compare = byId("compare");
  compare.disabled = !result || isBusy;
  compare.setAttribute("aria-pressed", String(entry.isComparing));
  compare.textContent = `Compare with ${result?.answer.method === "kmeans" ? "the U-Net" : "K-means"}`;
}

function renderProgress(entry) {
  const isBusy = entry?.state === "working" || entry?.state === "waiting";
  byId("progress").hidden = !isBusy;
  if (!isBusy) return;
  byId("progress-text").textContent = entry.state === "waiting" ? "Waiting for other images" : entry.note || "Sending the image";
  if (entry.progress === null) byId("progress-bar").removeAttribute("value");
  else byId("progress-bar").value = entry.progress;
}

function renderNotices(entry) {
  const notices = [];
  if (entry?.error) {
    const { message, code, requestId, download } = entry.error;
    const what = download ? `“${download}” could not be saved` : entry.result ? "The last run failed" : "This image could not be analysed";
    const about = [code && `code ${code}`, requestId && `request ${requestId}`].filter(Boolean).join(", ");
    notices.push(notice("error", `${what}: ${message}`, adviceFor(code), about));
  }
  for (const { answer } of entry ? [entry.result, entry.isComparing && entry.other].filter(Boolean) : []) {
    if (!answer.fallback) continue;
    const ignored = answer.fallback.ignored_options.join(", ");
    notices.push(notice("warning", `K-means answered instead of the network: ${answer.fallback.reason}`, `Objects are not told apart as a network does, and have no class${ignored && `; not honoured: ${ignored}`}.`));
  }
  for (const flag of entry?.result?.answer.quality.flags ?? []) {
    const [title, advice] = FLAGS[flag] ?? [flag.replaceAll("_", " "), ""];
    notices.push(notice("warning", title, advice));
  }
  byId("notices").replaceChildren(...notices);
}

const notice = (kind, title, advice, about) =>
  element("div", { class: `notice ${kind}`, role: kind === "error" ? "alert" : null },
    element("p", {}, element("strong", { text: title.replace(/[^.!?]$/, "$&.") }), advice ? ` ${advice}` : ""),
    ...(about ? [element("p", { class: "hint", text: about })] : []));

function figuresOf(answer) {
  const { confluency, counts } = answer;
  const classes = Object.entries(counts);
  const area = confluency.area_um2 === null ? `${format(confluency.area_px, 0)} px` : `${format(confluency.area_um2, 0)} µm²`;
  const range = confluency.uncertainty_points === null ? null : element("span", { class: "range", text: ` ± ${format(confluency.uncertainty_points, 1)}` });
  return [
    figure("Confluency", "confluency", [format(confluency.percent, 1), ...(range ? [range] : []), " %"], `covered by ${plural(confluency.of)}: ${area}`),
    figure("Objects", "count", [format(answer.count, 0)], classes.length === 1 ? plural(classes[0][0]) : `of ${classes.length} classes`),
    ...(classes.length > 1 ? classes.map(([name, howMany]) => figure(name, `count-${name}`, [format(howMany, 0)], `${format((100 * howMany) / (answer.count || 1), 0)} % of the objects`)) : []),
    ...Object.entries(answer.ratios ?? {}).map(([pair, ratio]) => figure(pair.replace(":", " : "), "ratio", [format(ratio, 2)], "ratio of the counts")),
    figure("Answered by", "method", [answer.method === "kmeans" ? "K-means" : "U-Net"], answer.model ? `${answer.model.name} ${answer.model.version}` : answer.fallback ? "instead of the network" : "clustering"),
  ];
}

const figure = (title, name, value, about) =>
  element("div", {}, element("dt", { text: title }), element("dd", { class: "value", "data-figure": name }, ...value), element("dd", { class: "hint", text: about }));

function renderLegend({ counts }) {
  const items = Object.keys(counts).map((name, index) => {
    const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.setProperty("background-color", `rgb(${CLASS_COLOURS[index % CLASS_COLOURS.length].join(" ")})`);
    return element("li", {}, swatch, name);
  });
  byId("legend").replaceChildren(...items);
}

function originOf({ method, model, kmeans, receipt, quality }) {
  const options = Object.entries(receipt.options).filter(([name]) => name !== "measurements").map(([name, value]) => `${name} = ${value}`);
  return terms([
    ["Method", method === "kmeans" ? `K-means, ${kmeans.k} clusters, foreground ${kmeans.foreground}` : "U-Net"],
    ["Model", model && `${model.name} ${model.version}`],
    ["Digest", model && element("code", { title: model.sha256, text: model.sha256.slice(0, DIGEST_START) })],
    ["Ran on", model && model.provider.replace("ExecutionProvider", "")],
    ["Settings", options.join(", ") || "all at their defaults"],
    ["Image quality", `focus ${format(quality.focus, 2)}, contrast ${format(quality.contrast, 2)}, saturated ${format(100 * quality.saturated_fraction, 1)} %`],
    ["Service", receipt.service_version],
  ]);
}
