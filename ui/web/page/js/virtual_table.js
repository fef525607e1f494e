// VirtualTable: a grid of any number of rows that draws only those in sight. Sorted, multi-select, worked by keys alone.
//
// Nothing jumps: while the pointer is over the rows, or a key was pressed in them a moment ago, known rows keep their places and new ones
// come at the end. Focus stays on the grid, the active row is told by aria-activedescendant: rows come and go while one scrolls.

import { element, setAttribute, setClass, setText, setVariable } from "./elements.js";
import { recall, remember } from "./remembered.js";

const OVERSCAN = 6;                                     // rows above and below what is in sight
const CALM_MILLISECONDS = 3000;                         // after a key
const MIN_WIDTH = 36, MAX_WIDTH = 900, WIDTH_STEP = 16;
const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const canHover = window.matchMedia("(hover: hover)");
let numTables = 0;

function compare(left, right) {
  if (typeof left === "string" || typeof right === "string") return collator.compare(String(left ?? ""), String(right ?? ""));
  return (Number.isFinite(left) ? left : -Infinity) - (Number.isFinite(right) ? right : -Infinity) || 0;
}

export class VirtualTable extends EventTarget {
  // columns: {key, title, help, width, end (right-aligned), grows, hidden (at first), draw(cell, row), by(row) → what it sorts by}
  constructor(host, { name, label, columns, key, sort, drawRow = () => {} }) {
    super();
    this.#id = `table${++numTables}`;
    this.columns = columns;
    this.#name = name;
    this.#key = key;
    this.#drawRow = drawRow;
    const kept = recall(`table.${name}`, {});
    this.#sort = columns.some((column) => column.key === kept.sort?.key) ? kept.sort : sort;
    for (const column of columns) {
      this.#widths[column.key] = Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, Number(kept.widths?.[column.key]) || column.width));
      if (kept.hidden ? kept.hidden.includes(column.key) : column.hidden) this.#hidden.add(column.key);
    }
    this.head = element("div", { class: "grid-head", role: "row", "aria-rowindex": 1 });
    this.body = element("div", { class: "grid-body", role: "rowgroup" });
    this.grid = element("div", {
      class: `grid grid-${name}`, role: "grid", tabindex: 0, "aria-label": label, "aria-multiselectable": "true",
    }, element("div", { role: "rowgroup", class: "grid-top" }, this.head), this.body);
    host.append(this.grid);
    this.#layOut();
    this.grid.addEventListener("scroll", () => this.#later(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.grid);
    this.grid.addEventListener("keydown", (event) => this.#typed(event));
    this.body.addEventListener("pointerdown", (event) => this.#pressed(event));
    this.body.addEventListener("dblclick", () => this.#tell("open"));
    this.body.addEventListener("contextmenu", (event) => this.#menuAsked(event));
  }

  #id; #name; #key; #drawRow; #sort;
  #widths = {};
  #hidden = new Set();
  #rows = [];                                           // in order
  #indexOf = new Map();
  #pool = [];
  #scheduled = 0;
  #typedAt = -Infinity;
  #anchor = null;                                       // where a selection with Shift began
  active = null;                                        // key
  selected = new Set();

  get rows() {
    return this.#rows;
  }

  get visibleColumns() {
    return this.columns.filter((column) => !this.#hidden.has(column.key));
  }

  row(key) {
    return this.#rows[this.#indexOf.get(key)];
  }

  // All rows, in any order
  setRows(rows) {
    const isHeld = this.#rows.length > 0 && (performance.now() - this.#typedAt < CALM_MILLISECONDS || (canHover.matches && this.body.matches(":hover")));
    this.#rows = isHeld ? this.#held(rows) : this.#sorted(rows);
    this.#index();
    this.draw();
  }

  sortBy(key, descending) {
    this.#sort = { key, descending };
    this.#keep();
    this.#rows = this.#sorted(this.#rows);
    this.#index();
    this.#layOut();
    this.draw();
  }

  show(key, wanted) {
    if (wanted) this.#hidden.delete(key);
    else if (this.visibleColumns.length > 1) this.#hidden.add(key);
    this.#keep();
    this.#layOut();
    this.draw();
  }

  isShown(key) {
    return !this.#hidden.has(key);
  }

  activate(key, { only = true, reveal = true } = {}) {
    const isNews = key !== this.active;
    this.active = key;
    if (only) {
      this.selected = new Set(key === null ? [] : [key]);
      this.#anchor = key;
    }
    if (reveal && key !== null) this.#reveal(this.#indexOf.get(key));
    this.draw();
    if (isNews) this.#tell("active");
    this.#tell("select");
  }

  draw() {
    const height = this.rowHeight();
    setVariable(this.body, "--height", `${this.#rows.length * height}px`);
    setAttribute(this.grid, "aria-rowcount", this.#rows.length + 1);
    const top = Math.max(0, this.grid.scrollTop);
    const first = Math.max(0, Math.floor(top / height) - OVERSCAN);
    const last = Math.min(this.#rows.length, Math.ceil((top + this.grid.clientHeight) / height) + OVERSCAN);
    const columns = this.visibleColumns;
    while (this.#pool.length < last - first) this.#pool.push(this.#newRow());
    for (let number = 0; number < this.#pool.length; number += 1) {
      const made = this.#pool[number], index = first + number;
      if (index >= last) {
        if (!made.hidden) made.hidden = true;
        if (made.id) made.removeAttribute("id");
        continue;
      }
      const row = this.#rows[index], key = this.#key(row);
      if (made.hidden) made.hidden = false;
      made.rowKey = key;
      setAttribute(made, "id", `${this.#id}-${index}`);
      setAttribute(made, "aria-rowindex", index + 2);
      setAttribute(made, "aria-selected", this.selected.has(key) ? "true" : "false");
      setClass(made, "is-active", key === this.active);
      setVariable(made, "--top", `${index * height}px`);
      columns.forEach((column, place) => column.draw(made.children[place], row));
      this.#drawRow(made, row);
    }
    const activeIndex = this.#indexOf.get(this.active);
    const isInSight = activeIndex !== undefined && activeIndex >= first && activeIndex < last;
    setAttribute(this.grid, "aria-activedescendant", isInSight ? `${this.#id}-${activeIndex}` : null);
  }

  rowHeight() {
    return parseFloat(getComputedStyle(this.grid).getPropertyValue("--row-height")) || 24;
  }

  // ── order ────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #held(rows) {
    const news = new Map(rows.map((row) => [this.#key(row), row]));
    const order = [];
    for (const row of this.#rows) {
      const key = this.#key(row);
      if (news.has(key)) {
        order.push(news.get(key));
        news.delete(key);
      }
    }
    order.push(...news.values());
    return order;
  }

  #sorted(rows) {
    const column = this.columns.find((one) => one.key === this.#sort.key) ?? this.columns[0];
    const sign = this.#sort.descending ? -1 : 1;
    return rows.map((row) => [column.by(row), this.#key(row), row])
      .sort((left, right) => sign * compare(left[0], right[0]) || (left[1] < right[1] ? -1 : 1))
      .map((pair) => pair[2]);
  }

  #index() {
    this.#indexOf = new Map(this.#rows.map((row, index) => [this.#key(row), index]));
    for (const key of this.selected) if (!this.#indexOf.has(key)) this.selected.delete(key);
    if (this.active !== null && !this.#indexOf.has(this.active)) {
      this.active = null;
      this.#tell("active");
      this.#tell("select");
    }
  }

  // ── keys and pointer ─────────────────────────────────────────────────────────────────────────────────────────────────

  #typed(event) {
    if (event.target !== this.grid) return;
    const count = this.#rows.length, page = Math.max(1, Math.floor(this.grid.clientHeight / this.rowHeight()) - 2);
    const at = this.#indexOf.get(this.active) ?? -1;
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? count - 1 : at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: count - 1 }[event.key];
    if (to !== undefined && !event.altKey) {
      event.preventDefault();
      if (count) this.#moveTo(Math.min(count - 1, Math.max(0, to)), event.shiftKey);
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.#tell("open");
    } else if (event.key === "a" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      this.selected = new Set(this.#indexOf.keys());
      this.draw();
      this.#tell("select");
    } else if (event.key === "ContextMenu" || (event.key === "F10" && event.shiftKey)) {
      event.preventDefault();
      const box = this.body.querySelector(".is-active:not([hidden])")?.getBoundingClientRect() ?? this.grid.getBoundingClientRect();
      this.#tell("menu", { x: box.left + 40, y: box.top + Math.min(box.height, 24) });
    } else return;
    this.#typedAt = performance.now();
  }

  #moveTo(index, extends_) {
    const key = this.#key(this.#rows[index]);
    if (extends_) this.#selectTo(index);
    this.activate(key, { only: !extends_ });
  }

  #selectTo(index) {
    const from = this.#indexOf.get(this.#anchor) ?? index;
    const range = this.#rows.slice(Math.min(from, index), Math.max(from, index) + 1);
    this.selected = new Set(range.map((row) => this.#key(row)));
  }

  #pressed(event) {
    const key = this.#keyAt(event);
    if (key === undefined || event.button > 1) return;
    if (event.shiftKey) {
      event.preventDefault();
      this.#selectTo(this.#indexOf.get(key));
      this.activate(key, { only: false, reveal: false });
    } else if (event.ctrlKey || event.metaKey) {
      if (!this.selected.delete(key)) this.selected.add(key);
      this.#anchor = key;
      this.activate(key, { only: false, reveal: false });
    } else {
      this.activate(key, { reveal: false });
      if (event.pointerType === "touch") this.#openUnlessScrolled(event);
    }
  }

  // A tap opens; a swipe only scrolls
  #openUnlessScrolled(event) {
    const { clientX, clientY } = event;
    this.body.addEventListener("pointerup", (up) => {
      if (Math.hypot(up.clientX - clientX, up.clientY - clientY) < 8) this.#tell("open");
    }, { once: true });
  }

  #menuAsked(event) {
    const key = this.#keyAt(event);
    if (key === undefined) return;
    event.preventDefault();
    if (!this.selected.has(key)) this.activate(key, { reveal: false });
    this.#tell("menu", { x: event.clientX, y: event.clientY });
  }

  #keyAt(event) {
    return event.target.closest?.(".grid-row")?.rowKey;
  }

  #reveal(index) {
    if (index === undefined) return;
    const height = this.rowHeight(), head = this.head.offsetHeight;
    const top = index * height, room = this.grid.clientHeight - head;
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top + height > this.grid.scrollTop + room) this.grid.scrollTop = top + height - room;
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }

  #later() {
    this.#scheduled ||= requestAnimationFrame(() => {
      this.#scheduled = 0;
      this.draw();
    });
  }

  // ── columns ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #newRow() {
    const made = element("div", { class: "grid-row", role: "row" }, ...this.visibleColumns.map((column) => element("div", {
      class: `cell cell-${column.key}${column.end ? " is-end" : ""}`, role: "gridcell",
    })));
    this.body.append(made);
    return made;
  }

  #layOut() {
    const columns = this.visibleColumns;
    const template = columns.map(({ key, grows }) => (grows ? `minmax(${this.#widths[key]}px, 1fr)` : `${this.#widths[key]}px`)).join(" ");
    setVariable(this.grid, "--columns", template);
    setVariable(this.grid, "--width", `${columns.reduce((sum, { key }) => sum + this.#widths[key], 0)}px`);
    setAttribute(this.grid, "aria-colcount", columns.length);
    this.head.replaceChildren(...columns.map((column) => this.#headCell(column)));
    for (const made of this.#pool) made.remove();
    this.#pool = [];
  }

  #headCell(column) {
    const isSorted = this.#sort.key === column.key;
    const button = element("button", {
      class: "column", type: "button", title: column.help ?? column.title, tabindex: -1,
      onclick: () => this.sortBy(column.key, isSorted ? !this.#sort.descending : Boolean(column.end)),
    }, column.title);
    if (isSorted) button.append(element("span", { class: "sort-mark", "aria-hidden": "true" }, this.#sort.descending ? " ▾" : " ▴"));
    const handle = element("span", { class: "resizer", "aria-hidden": "true", onpointerdown: (event) => this.#resize(event, column) });
    return element("div", {
      class: `cell cell-${column.key}${column.end ? " is-end" : ""}`, role: "columnheader",
      "aria-sort": isSorted ? (this.#sort.descending ? "descending" : "ascending") : "none",
    }, button, handle);
  }

  #resize(event, column) {
    event.preventDefault();
    const from = event.clientX, width = event.currentTarget.parentElement.offsetWidth, handle = event.currentTarget;
    handle.setPointerCapture(event.pointerId);
    const move = (moved) => this.#setWidth(column.key, width + moved.clientX - from);
    handle.addEventListener("pointermove", move);
    handle.addEventListener("pointerup", () => {
      handle.removeEventListener("pointermove", move);
      this.#keep();
    }, { once: true });
  }

  #setWidth(key, width) {
    this.#widths[key] = Math.round(Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, width)));
    const columns = this.visibleColumns;
    setVariable(this.grid, "--columns", columns.map((column) => (column.grows ? `minmax(${this.#widths[column.key]}px, 1fr)` : `${this.#widths[column.key]}px`)).join(" "));
    setVariable(this.grid, "--width", `${columns.reduce((sum, column) => sum + this.#widths[column.key], 0)}px`);
  }

  // For who has no pointer: from the menu of columns
  widen(key, steps) {
    this.#setWidth(key, this.#widths[key] + steps * WIDTH_STEP);
    this.#keep();
  }

  #keep() {
    remember(`table.${this.#name}`, { sort: this.#sort, widths: this.#widths, hidden: [...this.#hidden] });
  }
}

// A column that shows a text; `title(row)`: on hover
export function textColumn(column, text, title) {
  return {
    ...column,
    draw(cell, row) {
      setText(cell, text(row));
      if (title) setAttribute(cell, "title", title(row));
    },
  };
}
