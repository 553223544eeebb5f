// The forms in which an answer can be taken away.

import { element, save } from "./dom.js";
import { download } from "./service.js";

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

/**
 * Offer the forms of one answer.
 * @param {HTMLElement} place is emptied first
 * @param {{file: File, options: object, answer: object, text: string}} result
 * @param {function(Error)} onError
 */
export function offerDownloads(place, { file, options, answer, text }, onError) {
  const buttons = FORMS.map(([form, name, ending]) => {
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
