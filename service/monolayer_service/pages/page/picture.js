// An image with its objects over it, on a canvas.

const WANTED_SIDE_PX = 1440; // small images are drawn larger, so that outlines are finer than their pixels
const MOST_TIMES = 12;
const GOLDEN_RATIO = 0.618033988749895;
const FILL_ALPHA = 90;
const CHOSEN = 0xff00f2ff;
const CHOSEN_GROUND = 0x3800f2ff;
const CASING = 0x90000000; // darkens the ground along an outline: it shows on bright images too

/** Red, green and blue of the first, second, ... class, the same as in overlays and GeoJSON; used again from the start where there are more. */
export const CLASS_COLOURS = [
  [25, 224, 255],
  [255, 176, 0],
  [255, 51, 102],
  [153, 102, 255],
];

/** Shows one answer over one image. */
export class Picture {
  #canvas;
  #context;
  #overlay = document.createElement("canvas");
  #bitmap = null;
  #painted = null;
  #classOf = null;
  #times = 1;
  #style = { isShown: true, isFilled: false, byClass: true, opacity: 0.9 };
  #chosen = 0;

  /**
   * @param {HTMLCanvasElement} canvas
   * @param {function(number)} onChoose is told the label of the object that was clicked, 0 for the background
   */
  constructor(canvas, onChoose) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    canvas.addEventListener("click", (event) => onChoose(this.#labelAt(event)));
  }

  /**
   * Show an image.
   * @param {ImageBitmap} bitmap
   * @param {{labels: Int32Array, height: number, width: number}} painted as by `paintLabels`, of the bitmap's size
   * @param {Int32Array} classOf class of each object, entry i for label i + 1
   */
  show(bitmap, painted, classOf) {
    this.#bitmap = bitmap;
    this.#painted = painted;
    this.#classOf = classOf;
    this.#chosen = 0;
    this.#times = Math.min(Math.max(Math.floor(WANTED_SIDE_PX / Math.max(bitmap.width, bitmap.height)), 1), MOST_TIMES);
    for (const canvas of [this.#canvas, this.#overlay]) {
      canvas.width = bitmap.width * this.#times;
      canvas.height = bitmap.height * this.#times;
    }
    this.#canvas.style.setProperty("--aspect", bitmap.width / bitmap.height);
    this.#paint();
    this.#draw();
  }

  /** Change how objects are drawn: `isShown`, `isFilled`, `byClass`, `opacity` from 0 to 1. */
  restyle(changes) {
    const repaints = ["isFilled", "byClass"].some((name) => name in changes && changes[name] !== this.#style[name]);
    Object.assign(this.#style, changes);
    if (!this.#bitmap) return;
    if (repaints) this.#paint();
    this.#draw();
  }

  /** Mark one object, or none (0). */
  choose(label) {
    this.#chosen = label;
    if (this.#bitmap) this.#draw();
  }

  #labelAt({ offsetX, offsetY }) {
    if (!this.#painted) return 0;
    const { labels, height, width } = this.#painted;
    const row = Math.floor((offsetY / this.#canvas.clientHeight) * height);
    const column = Math.floor((offsetX / this.#canvas.clientWidth) * width);
    return row >= 0 && row < height && column >= 0 && column < width ? labels[row * width + column] : 0;
  }

  #draw() {
    const { width, height } = this.#canvas;
    this.#context.imageSmoothingEnabled = this.#times < 4; // of a small image the pixels themselves are shown
    this.#context.globalAlpha = 1;
    this.#context.drawImage(this.#bitmap, 0, 0, width, height);
    if (this.#style.isShown) {
      this.#context.globalAlpha = this.#style.opacity;
      this.#context.drawImage(this.#overlay, 0, 0);
    }
    if (this.#chosen) this.#mark();
  }

  #paint() {
    const context = this.#overlay.getContext("2d");
    const image = context.createImageData(this.#overlay.width, this.#overlay.height);
    const colours = this.#colours();
    const fills = this.#style.isFilled ? colours.map((colour) => ((colour & 0xffffff) | (FILL_ALPHA << 24)) >>> 0) : null;
    const edges = new EdgeFinder(this.#painted, this.#times);
    edges.visit(0, image.height, 0, image.width, new Uint32Array(image.data.buffer), (label, isEdge, isBeside) => {
      if (label) return isEdge ? colours[label] : fills ? fills[label] : 0;
      return isBeside ? CASING : 0;
    });
    context.putImageData(image, 0, 0);
  }

  /** Draw one object in yellow, with a thick outline. */
  #mark() {
    const { labels, width } = this.#painted;
    const chosen = this.#chosen;
    const first = labels.indexOf(chosen);
    if (first < 0) return;
    const last = labels.lastIndexOf(chosen);
    let [left, right] = [width, 0];
    for (let row = Math.floor(first / width); row <= Math.floor(last / width); row++) {
      const line = labels.subarray(row * width, (row + 1) * width);
      const start = line.indexOf(chosen);
      if (start >= 0) [left, right] = [Math.min(left, start), Math.max(right, line.lastIndexOf(chosen))];
    }
    const times = this.#times;
    const [top, height] = [Math.floor(first / width) * times, (Math.floor(last / width) - Math.floor(first / width) + 1) * times];
    const [from, wide] = [left * times, (right - left + 1) * times];
    const mark = document.createElement("canvas");
    [mark.width, mark.height] = [wide, height];
    const image = mark.getContext("2d").createImageData(wide, height);
    const edges = new EdgeFinder(this.#painted, times, 2);
    edges.visit(top, top + height, from, from + wide, new Uint32Array(image.data.buffer), (label, isEdge) =>
      label === chosen ? (isEdge ? CHOSEN : CHOSEN_GROUND) : 0,
    );
    mark.getContext("2d").putImageData(image, 0, 0);
    this.#context.globalAlpha = 1;
    this.#context.drawImage(mark, from, top);
  }

  /** One colour a label, as the numbers that a canvas stores: alpha, blue, green, red. */
  #colours() {
    const colours = new Array(this.#classOf.length + 1).fill(0);
    for (let label = 1; label < colours.length; label++) {
      const colour = CLASS_COLOURS[this.#classOf[label - 1] % CLASS_COLOURS.length];
      colours[label] = pack(this.#style.byClass ? colour : hue(label * GOLDEN_RATIO));
    }
    return colours;
  }
}

const pack = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;

/** A full hue, by its place on the circle from 0 to 1: labels a golden-ratio step apart look unlike. */
function hue(place) {
  return [0, 1 / 3, 2 / 3].map((centre) => {
    const distance = Math.abs(((place - centre + 0.5) % 1) - 0.5);
    return Math.round(255 * Math.min(Math.max(2 - 6 * distance, 0.15), 1));
  });
}

/**
 * Finds where objects end in a label image that is looked at `times` enlarged.
 *
 * The border of the image is no edge: an object that is cut by it stays open there.
 */
class EdgeFinder {
  #painted;
  #times;
  #reach;

  constructor(painted, times, thicker = 1) {
    this.#painted = painted;
    this.#times = times;
    this.#reach = Math.max(Math.round((Math.max(painted.width, painted.height) * times) / 320), 1) * thicker;
  }

  /** Ask `colour(label, isEdge, isBeside)` for each pixel of a part of the enlarged image, and write what it says. */
  visit(top, bottom, left, right, out, colour) {
    const { labels, height, width } = this.#painted;
    const place = (position, length) => Math.floor(Math.min(Math.max(position, 0), length * this.#times - 1) / this.#times);
    const near = Math.ceil(this.#reach / 2);
    const steps = [-this.#reach, -near, near, this.#reach];
    const columns = Array.from({ length: right - left }, (_, x) => place(x + left, width));
    const beside = steps.map((step) => Int32Array.from(columns, (_, x) => place(x + left + step, width)));
    let written = 0;
    for (let y = top; y < bottom; y++) {
      const row = place(y, height) * width;
      const [farUp, up, down, farDown] = steps.map((step) => place(y + step, height) * width);
      for (let x = 0; x < columns.length; x++) {
        const column = columns[x];
        const label = labels[row + column];
        const a = labels[up + column];
        const b = labels[down + column];
        const c = labels[row + beside[1][x]];
        const d = labels[row + beside[2][x]];
        const isEdge =
          a !== label || b !== label || c !== label || d !== label ||
          labels[farUp + column] !== label || labels[farDown + column] !== label ||
          labels[row + beside[0][x]] !== label || labels[row + beside[3][x]] !== label;
        out[written++] = isEdge || label ? colour(label, isEdge, a > 0 || b > 0 || c > 0 || d > 0) : 0;
      }
    }
  }
}
