// The forms in which an answer can be taken away.

import { element, save } from "./dom.js";
import { download } from "./service.js";

/**
 * Value of the service's option `format`, what it is, and how its file is named. Those that the service in use does not
 * give are not offered; of forms of the same name the first.
 */
const FORMS = [
  ["json", "Answer (JSON)", ".json"],
  ["csv", "Run lengths, Kaggle (CSV)", ".csv"],
  ["table", "Object table (CSV)", "_objects.csv"],
  ["tiff", "Label image (TIFF)", "_labels.tif"],
  ["overlay", "Overlay (PNG)", "_overlay.png"],
  ["png", "Overlay (PNG)", "_overlay.png"],
  ["geojson", "Outlines (GeoJSON)", ".geojson"],
  ["rois", "ImageJ ROIs (zip)", "_rois.zip"],
];

/**
 * Offer the forms of one answer.
 * @param {HTMLElement} place is emptied first
 * @param {Set<string>} known forms that the service gives
 * @param {{file: File, options: object, answer: object, text: string}} result
 * @param {function(Error)} onError
 */
export function offerDownloads(place, known, { file, options, answer, text }, onError) {
  const names = new Set();
  const offered = FORMS.filter(([form, name]) => known.has(form) && !names.has(name) && names.add(name));
  const buttons = offered.map(([form, name, ending]) => {
    const click = async ({ currentTarget: button }) => {
      button.disabled = true;
      try {
        const blob = form === "json" ? new Blob([text], { type: "application/json" }) : await download(file, options, form, {});
        save(blob, answer.image_id + ending);
      } catch (error) {
        onError(error);
      } finally {
        button.disabled = false;
      }
    };
    return element("button", { type: "button", "data-form": form, click, text: name });
  });
  place.replaceChildren(...buttons);
}
