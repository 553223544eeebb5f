// The table of objects, by pages: walked through with the keyboard, sorted by any column, and what it knows of one object.

import { element, terms } from "./dom.js";
import { MEASUREMENTS, format, measurementInWords } from "./words.js";

const PAGE_ROWS = 100;
const COLUMNS = [
  ["id", "No.", 0],
  ["class", "Class", null],
  ["area_um2", "Area µm²", 1],
  ["area_px", "Area px", 0],
  ["equivalent_diameter_um", "⌀ µm", 1],
  ["equivalent_diameter_px", "⌀ px", 1],
  ["solidity", "Solidity", 2],
  ["score", "Score", 2],
];
const ONLY_WITHOUT = { area_px: "area_um2", equivalent_diameter_px: "equivalent_diameter_um" };
const STEPS = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };

/** Shows the objects of one answer; one of them may be chosen. */
export class ObjectTable {
  #table;
  #pager;
  #details;
  #onChoose;
  #objects = [];
  #columns = [];
  #order = { by: "id", isDescending: false };
  #chosen = 0;
  #first = 0;

  /** @param {function(number)} onChoose is told the label of the object that was chosen, 0 for none */
  constructor({ table, pager, details }, onChoose) {
    this.#table = table;
    this.#pager = pager;
    this.#details = details;
    this.#onChoose = onChoose;
    table.tBodies[0].addEventListener("click", (event) => {
      const row = event.target.closest("tr[data-label]");
      if (row) onChoose(Number(row.dataset.label));
    });
    table.tBodies[0].addEventListener("keydown", (event) => this.#walk(event));
  }

  /** Show the objects of an answer, none of them chosen. */
  show(objects) {
    this.#objects = [...objects];
    const known = (name) => objects.some((one) => one[name] !== undefined && one[name] !== null);
    this.#columns = COLUMNS.filter(([name]) => name === "id" || (known(name) && !known(ONLY_WITHOUT[name])));
    this.#chosen = 0;
    this.#sort();
  }

  /** Choose an object (0: none) and bring its row into sight; the focus moves to it where the table has it. */
  choose(label) {
    this.#chosen = label;
    const index = this.#objects.findIndex(({ id }) => id === label);
    if (index >= 0) this.#first = index - (index % PAGE_ROWS);
    this.#render();
    const row = this.#table.querySelector("tr[aria-selected=true]");
    const frame = this.#table.parentElement;
    if (row && (row.offsetTop < frame.scrollTop + row.offsetHeight || row.offsetTop + row.offsetHeight > frame.scrollTop + frame.clientHeight)) {
      frame.scrollTop = row.offsetTop - frame.clientHeight / 2;
    }
  }

  #sort(by = this.#order.by) {
    const { isDescending } = this.#order;
    const compare = by === "class" ? (a, b) => a.class.localeCompare(b.class) : (a, b) => (a[by] ?? 0) - (b[by] ?? 0);
    this.#objects.sort((a, b) => (isDescending ? compare(b, a) : compare(a, b)) || a.id - b.id);
    this.#first = 0;
    this.#render();
  }

  #walk(event) {
    const row = event.target.closest("tr[data-label]");
    if (!row) return;
    if (event.key in STEPS) {
      const at = this.#objects.findIndex(({ id }) => id === Number(row.dataset.label));
      const next = Math.min(Math.max(at + STEPS[event.key], 0), this.#objects.length - 1);
      this.#onChoose(this.#objects[next].id);
      this.#table.querySelector("tr[tabindex='0']").focus({ preventScroll: true });
    } else if (event.key === "Enter" || event.key === " ") {
      this.#onChoose(Number(row.dataset.label));
    } else if (event.key === "Escape") {
      this.#onChoose(0);
    } else return;
    event.preventDefault();
  }

  #render() {
    const hadFocus = this.#table.tBodies[0].contains(document.activeElement);
    const page = this.#objects.slice(this.#first, this.#first + PAGE_ROWS);
    const target = page.some(({ id }) => id === this.#chosen) ? this.#chosen : page[0]?.id;
    this.#table.setAttribute("aria-rowcount", this.#objects.length + 1);
    this.#table.tHead.replaceChildren(element("tr", { "aria-rowindex": 1 }, ...this.#columns.map((column) => this.#heading(column))));
    this.#table.tBodies[0].replaceChildren(...page.map((one, index) => this.#row(one, this.#first + index + 2, one.id === target)));
    if (hadFocus) this.#table.querySelector("tr[tabindex='0']")?.focus({ preventScroll: true });
    this.#renderPager();
    this.#renderDetails();
  }

  #heading([name, title, digits]) {
    const isSorted = this.#order.by === name;
    const direction = this.#order.isDescending ? "descending" : "ascending";
    const click = () => {
      this.#order = { by: name, isDescending: isSorted ? !this.#order.isDescending : digits !== null && name !== "id" };
      this.#sort();
      this.#table.tHead.querySelector("[aria-sort] button")?.focus();
    };
    return element("th", { scope: "col", class: digits === null ? "text" : null, "aria-sort": isSorted ? direction : null },
      element("button", { type: "button", class: "plain", click, text: title }));
  }

  #row(one, rowIndex, isTarget) {
    const attributes = {
      "data-label": one.id,
      "aria-rowindex": rowIndex,
      "aria-selected": String(one.id === this.#chosen),
      tabindex: isTarget ? 0 : -1,
    };
    const cells = this.#columns.map(([name, , digits]) =>
      element("td", { class: digits === null ? "text" : null, text: digits === null ? one[name] : format(one[name], digits) }));
    return element("tr", attributes, ...cells);
  }

  #renderPager() {
    const last = Math.min(this.#first + PAGE_ROWS, this.#objects.length);
    const turn = (by) => () => {
      this.#first += by;
      this.#render();
    };
    const isOnePage = this.#objects.length <= PAGE_ROWS;
    this.#pager.replaceChildren(...(isOnePage ? [] : [
      element("button", { type: "button", "aria-label": "Previous page", disabled: this.#first === 0, click: turn(-PAGE_ROWS), text: "‹" }),
      element("span", { text: `${format(this.#first + 1, 0)} to ${format(last, 0)} of ${format(this.#objects.length, 0)}` }),
      element("button", { type: "button", "aria-label": "Next page", disabled: last === this.#objects.length, click: turn(PAGE_ROWS), text: "›" }),
    ]));
  }

  #renderDetails() {
    const one = this.#objects.find(({ id }) => id === this.#chosen);
    if (!one) {
      const text = this.#objects.length ? "Click an object in the picture or the table for its measurements." : "No objects were found.";
      this.#details.replaceChildren(element("div", { class: "hint" }, element("dt", { class: "visually-hidden", text: "Object" }), element("dd", { text })));
      return;
    }
    const { y, x } = one.centroid;
    const measured = Object.keys(MEASUREMENTS).filter((name) => one[name] !== undefined && one[name] !== null);
    this.#details.replaceChildren(...terms([
      ["Object", `${one.id}, ${one.class}`],
      ...measured.map((name) => [MEASUREMENTS[name][0], measurementInWords(name, one[name])]),
      ["Centre (y, x)", `${format(y, 1)}, ${format(x, 1)} px`],
      ["Box (y, x; h × w)", `${one.bbox.y}, ${one.bbox.x}; ${one.bbox.height} × ${one.bbox.width} px`],
    ]));
  }
}
