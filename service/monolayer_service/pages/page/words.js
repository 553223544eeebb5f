// What the service's codes mean, in plain words, and what to do about them.

const FORMATS = [0, 1, 2, 3, 4].map((digits) => new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
const SHORT = new Intl.NumberFormat("en", { maximumSignificantDigits: 6 });

/** Write a number with so many decimals, at most four; a dash where there is none. */
export const format = (value, digits = 1) => (value === null || value === undefined ? "–" : FORMATS[digits].format(value));

/** Write a number without needless decimals. */
export const short = (value) => SHORT.format(value);

const PLURALS = { nucleus: "nuclei" };

/** Several of what is counted. */
export const plural = (name) => PLURALS[name] ?? `${name}s`;

/** Write a count with the name of what is counted. */
export const count = (howMany, name) => `${format(howMany, 0)} ${howMany === 1 ? name : plural(name)}`;

/** Counts by class in one line: one class is named in words, several by their abbreviations. */
export function countsInWords(counts) {
  const classes = Object.entries(counts);
  if (classes.length === 1) return count(classes[0][1], classes[0][0]);
  return classes.map(([name, howMany]) => `${format(howMany, 0)} ${name}`).join(", ");
}

/** What stands out about an image: what it is, and what to do. */
export const FLAGS = {
  blank: ["Nothing stands out in this image", "Check that the sample is in view, the exposure, and the channel."],
  out_of_focus: ["The image is out of focus", "Refocus and take it again; edges, and with them areas, are uncertain."],
  saturated: ["Part of the image is saturated", "Lower exposure or gain; touching objects merge and intensities are too low."],
  low_contrast: ["The image has little contrast", "Raise the exposure, or run again with “Raise local contrast”."],
  uneven_illumination: ["The image is unevenly lit", "Run again with “Even out the illumination”."],
  pixels_not_square: [
    "The sides of a pixel differ in this file",
    "So areas are in pixels alone; fill in “Pixel size” where one side will do for both.",
  ],
  unlike_training_data: [
    "The model was trained on other kinds of images",
    "Look at the outlines before using the numbers; try another model, or compare with K-means.",
  ],
};

const ADVICE = {
  ambiguous_axes: "Fill in “Image of the file”, “Channel”, “Plane z” or “Time t” under Settings, “Stacks and difficult images”, and run again.",
  unknown_format: "Send PNG, JPEG, BMP, TIFF, OME-TIFF or npy; export other formats to OME-TIFF first.",
  image_truncated: "The file is damaged or was not copied to its end: copy or export it again.",
  image_too_large: "Crop the image, or raise the service’s limits.",
  invalid_option: "Change that setting and run again.",
  overloaded: "Others are using the service: run again in a while.",
  deadline_exceeded: "The service is busy or the image is very large: run again in a while.",
  internal_error: "This is a fault of the service; its log has more under the request id.",
};

/** What to do about an error of the service. */
export const adviceFor = (code) => ADVICE[code] ?? null;

const STAGES = {
  upload: "sending",
  queue: "waiting for its turn",
  decode: "reading the image",
  prepare: "normalising",
  inference: "running the network",
  postprocess: "splitting and measuring objects",
  encode: "writing the answer",
};

/** How far the work on an image is, in words. */
export function progressInWords({ stage, done_megapixels: done, total_megapixels: total, elapsed_seconds: seconds }) {
  const share = stage === "inference" && total ? `, ${format((100 * done) / total, 0)} %` : "";
  return `${STAGES[stage] ?? stage ?? "waiting"}${share} (${format(seconds, 0)} s)`;
}

/** Who answered, in a few words. */
export const methodInWords = ({ method, model }) => (method === "kmeans" ? "K-means" : `U-Net ${model.name} ${model.version}`);

/** Confluency with its uncertainty, in percent. */
export function confluencyInWords({ percent, uncertainty_points: points }) {
  return points === null ? `${format(percent, 1)} %` : `${format(percent, 1)} ± ${format(points, 1)} %`;
}

/** Measurements of an object in the order they are shown: name, unit, decimals. */
export const MEASUREMENTS = {
  area_px: ["Area", "px", 0],
  area_um2: ["Area", "µm²", 1],
  equivalent_diameter_px: ["Diameter", "px", 1],
  equivalent_diameter_um: ["Diameter", "µm", 2],
  eccentricity: ["Eccentricity", "", 2],
  solidity: ["Solidity", "", 2],
  mean_intensity: ["Mean intensity", "", 1],
  score: ["Score", "", 2],
};

/** A measurement with its unit; of colours one value each. */
export function measurementInWords(name, value) {
  const [, unit, digits] = MEASUREMENTS[name];
  const text = [value].flat().map((part) => format(part, digits)).join(" / ");
  return unit ? `${text} ${unit}` : text;
}
