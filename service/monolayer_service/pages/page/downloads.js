// The forms in which an answer can be taken away.

import { element, save } from "./dom.js";
import { download } from "./service.js";
import { format } from "./words.js";

/** Value of the service's option `format`, what it is, and the end of its file's name, as the service has it. */
const FORMS = [
  ["json", "Answer (JSON)", ".json"],
  ["csv", "Run lengths, Kaggle (CSV)", ".rle.csv"],
  ["table", "Object table (CSV)", ".objects.csv"],
  ["tiff", "Label image (TIFF)", ".labels.tif"],
  ["overlay", "Overlay (PNG)", ".overlay.png"],
  ["geojson", "Outlines, QuPath (GeoJSON)", ".geojson"],
  ["rois", "ImageJ ROIs (zip)", ".rois.zip"],
  ["coco", "COCO data set (JSON)", ".coco.json"],
];

/** Offers the forms of one answer. What is being made goes on, and is saved, when another answer is shown meanwhile. */
export class Downloads {
  #progress;
  #note;
  #buttons = new Map();
  #result = null;
  #onError = null;
  #notes = new WeakMap(); // of each answer: what is said of its forms that are being made, by form

  constructor({ buttons, progress, note }) {
    this.#progress = progress;
    this.#note = note;
    for (const [form, name, ending] of FORMS) {
      this.#buttons.set(form, element("button", { type: "button", "data-form": form, click: () => this.#take(form, name, ending), text: name }));
    }
    buttons.replaceChildren(...this.#buttons.values());
  }

  /**
   * Offer the forms of an answer.
   * @param {{file: File, options: object, answer: object, text: string}} result
   * @param {function(?Error)} onError is told of a form of this answer that could not be made, its `download` being the
   *     form's name; null when another is tried
   */
  show(result, onError) {
    this.#result = result;
    this.#onError = onError;
    this.#render("");
  }

  async #take(form, name, ending) {
    const [result, onError] = [this.#result, this.#onError];
    const { file, options, answer, text } = result;
    const notes = this.#notes.get(result) ?? new Map();
    if (notes.has(form)) return;
    this.#notes.set(result, notes);
    const say = (note) => {
      notes.set(form, `${name}: ${note}`);
      this.#renderIf(result);
    };
    const fileName = answer.image_id + ending;
    let last = "";
    onError(null);
    say("the service is making it");
    try {
      const onWait = (seconds) => say(`the service is busy; asking again in ${format(seconds, 0)} s`);
      save(form === "json" ? new Blob([text], { type: "application/json" }) : await download(file, options, form, { onWait }), fileName);
      last = `Saved ${fileName}`;
    } catch (error) {
      onError(Object.assign(error, { download: name }));
    } finally {
      notes.delete(form);
      this.#renderIf(result, last);
    }
  }

  #renderIf(result, last) {
    if (result === this.#result) this.#render(last);
  }

  /** A button that is busy keeps the focus, which a disabled one would lose. */
  #render(last = "") {
    const notes = this.#notes.get(this.#result) ?? new Map();
    for (const [form, button] of this.#buttons) {
      button.setAttribute("aria-disabled", notes.has(form));
      button.setAttribute("aria-busy", notes.has(form));
    }
    this.#progress.hidden = !notes.size;
    this.#note.textContent = [...notes.values(), last].filter(Boolean).join("; ");
  }
}
