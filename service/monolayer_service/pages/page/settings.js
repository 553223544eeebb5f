// The form of the options, and what it says to the service.

import { byId, element } from "./dom.js";

const OF_THE_NETWORK = ["model", "threshold"];

/** Fill the choice of models with the bundles of the service. */
export function offerModels(models) {
  const choice = byId("model");
  const standard = models.find((model) => model.default_of.includes("/v1/segment"));
  const others = models.filter((model) => model !== standard);
  const name = (model) => `${model.name} ${model.card?.version ?? ""}${model.state === "broken" ? " (not usable)" : ""}`;
  choice.replaceChildren(
    element("option", { value: "", text: standard ? name(standard) : "Default" }),
    ...others.map((model) => element("option", { value: model.name, text: `${name(model)}: ${classesOf(model)}` })),
  );
}

const classesOf = ({ card }) => (card ? card.outputs.filter(({ role }) => role === "class").map((output) => output.name).join(", ") : "");

/** Let only those settings be changed that act with the chosen method: the service refuses the others. */
export function followMethod() {
  const form = byId("settings");
  for (const name of OF_THE_NETWORK) form.elements[name].disabled = form.elements.method.value === "kmeans";
}

/**
 * Options of a request, by name: what was filled in and acts.
 * @throws {Error} where a value cannot be; the fields are marked, and the message names them
 */
export function readSettings() {
  const form = byId("settings");
  if (!form.reportValidity()) {
    const wrong = [...form.querySelectorAll("input:invalid")].map((field) => `${field.labels[0].firstChild.data.trim()}: ${complaint(field)}`);
    throw new Error(`Correct the marked setting and run again. ${wrong.join(" ")}`);
  }
  const options = {};
  for (const [name, value] of new FormData(form)) {
    if (value !== "" && name !== "method") options[name] = value === "on" ? "true" : value;
  }
  if (form.elements.method.value === "kmeans") options.method = "kmeans";
  return options;
}

/** What is wrong with a field: of a pattern, whose meaning the browser cannot know, its title says what is wanted. */
const complaint = ({ validity, title, validationMessage }) => (validity.patternMismatch ? `${title}.` : validationMessage);

/** The same request, asked of the other method. */
export function forTheOtherMethod(options, method) {
  const { method: _, ...others } = options;
  if (method === "kmeans") return others;
  return { ...Object.fromEntries(Object.entries(others).filter(([name]) => !OF_THE_NETWORK.includes(name))), method: "kmeans" };
}

const OF_THE_PLANE = ["axes", "series", "channel", "z", "t"];

/** Those of the options that choose which plane of the file is the image. */
export const planeOf = (options) => Object.fromEntries(Object.entries(options).filter(([name]) => OF_THE_PLANE.includes(name)));
