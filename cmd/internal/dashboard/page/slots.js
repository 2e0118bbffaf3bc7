// The slot map: a cell for each slot, or for a group of slots in a large block, and a table of the
// slots that are held.

import { canvasContext, colour, keep, make, setAttribute, setClass, setHidden, setText } from "./dom.js";
import { count, duration, visible } from "./format.js";

const STATES = {
  F: ["free", "free"], C: ["committed", "committed"], W: ["writing", "being written"],
  D: ["draining", "overwritten and still read"], H: ["held", "held by a consumer"], S: ["stuck", "stuck"],
};
const GAP = 2;
const LEAST = 5; // the width of a cell
const MOST = 20;

export class SlotMap {
  constructor(actions) {
    this.actions = actions;
    this.canvas = make("canvas", { role: "img", "aria-label": "Slots" });
    this.legend = make("ul", { class: "legend" }, ...Object.values(STATES).map(([name, text]) =>
      make("li", {}, make("span", { class: `swatch ${name}` }), text)));
    this.note = make("p", { class: "soft", hidden: true });
    this.body = make("tbody");
    this.table = make("table", { hidden: true },
      make("caption", { class: "unseen" }, "Slots that are held or stuck"),
      make("thead", {}, make("tr", {}, ...["Slot", "State", "Message", "Stuck for", "Held by", ""].map((title, i) =>
        make("th", { scope: "col", class: i === 0 || i === 2 ? "number" : "" }, title)))), this.body);
    this.element = make("div", { class: "slots" }, this.canvas, this.legend, this.note,
      make("div", { class: "scroll" }, this.table));
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.element);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => this.draw();
    this.scheme.addEventListener("change", this.repaint);
  }

  close() {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.repaint);
  }

  show(slots) {
    this.slots = slots;
    this.draw();
    const parts = Object.entries(STATES).map(([code, [, text]]) => [slots.states[code] ?? 0, text])
      .filter(([n]) => n > 0).map(([n, text]) => `${count(n)} ${text}`);
    setAttribute(this.canvas, "aria-label", `${count(slots.count)} slots: ${parts.join(", ")}`);
    setText(this.note, slots.per_cell > 1
      ? `A cell is ${count(slots.per_cell)} slots, in the colour of the one that needs attention most.` : "");
    setHidden(this.note, slots.per_cell <= 1);
    setHidden(this.table, slots.held.length === 0);
    keep(this.body, slots.held, (s) => s.slot, (s) => this.makeRow(s), (row, s) => this.update(row, s));
  }

  draw() {
    const width = this.element.clientWidth;
    if (!this.slots || width === 0) return;
    const cells = this.slots.cells;
    const size = Math.max(LEAST, Math.min(MOST, Math.floor(Math.sqrt(width * 60 / Math.max(cells.length, 1)))));
    const columns = Math.max(1, Math.floor((width + GAP) / (size + GAP)));
    const height = Math.ceil(cells.length / columns) * (size + GAP);
    this.canvas.style.height = `${height}px`;
    const context = canvasContext(this.canvas, width, height);
    const colours = Object.fromEntries(Object.entries(STATES).map(([code, [name]]) => [code, colour(`slot-${name}`)]));
    for (let i = 0; i < cells.length; i++) {
      context.fillStyle = colours[cells[i]];
      context.fillRect(i % columns * (size + GAP), Math.floor(i / columns) * (size + GAP), size, size);
    }
  }

  makeRow(slot) {
    const parts = { state: make("span", { class: "mark" }), message: make("span"), since: make("span"),
      holders: make("span", { class: "text" }), advice: make("small", { class: "text" }), buttons: make("span") };
    const row = make("tr", {}, make("th", { scope: "row", class: "number" }, String(slot.slot)),
      make("td", {}, parts.state), make("td", { class: "number" }, parts.message), make("td", {}, parts.since),
      make("td", {}, parts.holders, parts.advice), make("td", {}, parts.buttons));
    row.parts = parts;
    return row;
  }

  update(row, s) {
    const c = row.parts;
    setText(c.state, s.stuck ? `${s.state}, stuck` : s.state);
    setClass(c.state, `mark ${s.stuck ? "bad" : "good"}`);
    setText(c.message, String(s.message_id));
    setText(c.since, !s.stuck ? "" : s.stuck_for_ms === null ? "unknown" : duration(s.stuck_for_ms));
    setText(c.holders, visible(s.held_by));
    setText(c.advice, visible(s.advice));
    const wanted = !s.stuck ? [] : [
      ...s.dead_writer ? [["Release writer…", { action: "release-zombie-writer", slot: s.slot }]] : [],
      ...s.dead_reader ? [["Release readers…", { action: "release-zombie-readers", slot: s.slot }]] : [],
      ["Reset…", { action: "reset-slot", slot: s.slot }],
    ];
    this.actions.buttons(c.buttons, wanted);
  }
}
