// Two charts, drawn by hand as SVG; each says in words what it shows.

import { element, svg } from "./dom.js";
import { format, short } from "./words.js";

const LEAST_WIDTH = 280; // pixels; charts are as wide as their place, so that text keeps its size
const HEIGHT = 210;
const MARGIN = { top: 10, right: 22, bottom: 38, left: 40 };
const NAMES_SHARE = 0.4;
const LEAST_BINS = 8;
const MOST_BINS = 24;
const BAR_HEIGHT = 26;

/**
 * Draw how often sizes occur.
 * @param {HTMLElement} place is emptied first
 * @param {number[]} values
 * @param {{name: string, unit: string, digits: number}} of what is on the axis
 */
export function drawHistogram(place, values, { name, unit, digits }) {
  place.replaceChildren();
  if (values.length < 2) {
    place.append(element("p", { class: "hint", text: "A distribution needs at least two objects." }));
    return;
  }
  const sorted = Float64Array.from(values).sort();
  const quantile = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const { edges, counts } = binned(sorted, quantile(0.75) - quantile(0.25));
  const most = Math.max(...counts);
  const width = widthOf(place);
  const [x, y] = [scale(edges[0], edges.at(-1), MARGIN.left, width - MARGIN.right), scale(0, most, HEIGHT - MARGIN.bottom, MARGIN.top)];
  const median = quantile(0.5);
  const summary = `Median ${format(median, digits)} ${unit}; half of the objects lie between ${format(quantile(0.25), digits)} and ${format(quantile(0.75), digits)} ${unit}.`;
  const bars = counts.map((howMany, index) => {
    const [left, right] = [x(edges[index]), x(edges[index + 1])];
    const bar = { class: "bar", x: left + 0.5, y: y(howMany), width: Math.max(right - left - 1, 0.5), height: y(0) - y(howMany) };
    const range = `${format(edges[index], digits)} to ${format(edges[index + 1], digits)} ${unit}: ${format(howMany, 0)}`;
    return svg("rect", bar, svg("title", { text: range }));
  });
  place.append(
    svg("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": `Histogram of ${name}. ${summary}` },
      ...ticks(0, most, 3, true).map((tick) => level(y(tick), short(tick), width)),
      ...bars,
      svg("line", { class: "median", x1: x(median), x2: x(median), y1: MARGIN.top, y2: y(0) }),
      svg("line", { class: "axis", x1: MARGIN.left, x2: width - MARGIN.right, y1: y(0), y2: y(0) }),
      ...ticks(edges[0], edges.at(-1), 6).map((tick) => svg("text", { x: x(tick), y: y(0) + 15, "text-anchor": "middle", text: short(tick) })),
      svg("text", { class: "axis-name", x: width - MARGIN.right, y: HEIGHT - 5, "text-anchor": "end", text: `${name} (${unit})` }),
      svg("text", { class: "axis-name", x: 0, y: HEIGHT - 5, text: "objects" }),
    ),
    element("p", { class: "hint", text: summary }),
  );
}

/** Freedman and Diaconis' bins: twice the interquartile range over the cube root of the number; few where that is 0. */
function binned(sorted, interquartile) {
  const [low, high] = [sorted[0], sorted.at(-1)];
  const width = (2 * interquartile) / Math.cbrt(sorted.length);
  const bins = Math.min(Math.max(width > 0 ? Math.ceil((high - low) / width) : 1, LEAST_BINS), MOST_BINS);
  const step = nice((high - low) / bins || 1, [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10]);
  const first = Math.floor(low / step) * step;
  const counts = new Array(Math.floor((high - first) / step) + 1).fill(0);
  for (const value of sorted) counts[Math.floor((value - first) / step)]++;
  return { edges: Array.from({ length: counts.length + 1 }, (_, index) => first + index * step), counts };
}

const widthOf = (place) => Math.max(place.clientWidth, LEAST_WIDTH);

/** The smallest of 1, 2, 5, 10, ..., or of other factors of powers of ten, that is not below a value. */
function nice(value, factors = [1, 2, 5, 10]) {
  const power = 10 ** Math.floor(Math.log10(value));
  return factors.find((factor) => factor * power >= value * 0.999) * power;
}

function ticks(low, high, most, areWhole = false) {
  const step = Math.max(nice((high - low) / most || 1), areWhole ? 1 : 0);
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, index) => (first + index) * step);
}

const scale = (from, to, start, end) => (value) => start + ((value - from) / (to - from || 1)) * (end - start);

const level = (y, text, width) =>
  svg("g", {}, svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }),
    svg("text", { x: MARGIN.left - 6, y: y + 4, "text-anchor": "end", text }));

/**
 * Draw the confluency of several images, with its uncertainty where that is known.
 * @param {HTMLElement} place is emptied first
 * @param {{name: string, percent: number, points: ?number}[]} images
 */
export function drawConfluency(place, images) {
  const width = widthOf(place);
  const names = width * NAMES_SHARE;
  const height = images.length * BAR_HEIGHT + 24;
  const x = scale(0, 100, names, width - 56);
  const rows = images.flatMap(({ name, percent, points }, index) => {
    const top = index * BAR_HEIGHT;
    const middle = top + BAR_HEIGHT / 2;
    const [low, high] = [Math.max(percent - points, 0), Math.min(percent + points, 100)];
    const whisker = `M${x(low)} ${middle - 4}v8M${x(low)} ${middle}H${x(high)}M${x(high)} ${middle - 4}v8`;
    return [
      svg("text", { x: names - 8, y: middle + 4, "text-anchor": "end", text: shortened(name, Math.floor(names / 7)) }, svg("title", { text: name })),
      svg("rect", { class: "bar", x: x(0), y: top + 5, width: x(percent) - x(0), height: BAR_HEIGHT - 10 }),
      ...(points === null ? [] : [svg("path", { class: "whisker", d: whisker })]),
      svg("text", { class: "value", x: width, y: middle + 4, "text-anchor": "end", text: `${format(percent, 1)} %` }),
    ];
  });
  const bottom = images.length * BAR_HEIGHT;
  const grid = [0, 25, 50, 75, 100].flatMap((tick) => [
    svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 0, y2: bottom }),
    svg("text", { x: x(tick), y: bottom + 16, "text-anchor": "middle", text: `${tick} %` }),
  ]);
  const summary = "Confluency by image; the table has the numbers.";
  place.replaceChildren(svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": summary }, ...grid, ...rows));
}

const shortened = (text, most) => (text.length <= most ? text : `${text.slice(0, most - 9)}…${text.slice(-8)}`);
