// The table of a block's producer and consumers.

import { keep, make, setClass, setText } from "./dom.js";
import { age, count, duration, rate, visible } from "./format.js";

const COLUMNS = ["Row", "Name", "State", "Process", "Delivery", "Messages/s", "Lag", "Lag time", "Missed",
  "Silent", ""];
const NUMBERS = new Set(["Row", "Messages/s", "Lag", "Lag time", "Missed", "Silent"]);
const TRENDS = { growing: " ↑", falling: " ↓" };

export class Participants {
  constructor(actions) {
    this.actions = actions;
    this.body = make("tbody", { id: "participants" });
    this.empty = make("p", { class: "empty", hidden: true }, "No process is attached.");
    this.element = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Participants" },
      make("table", {}, make("caption", { class: "unseen" }, "Participants, the producer first"),
        make("thead", {}, make("tr", {}, ...COLUMNS.map((title) =>
          make("th", { scope: "col", class: NUMBERS.has(title) ? "number" : "" }, title)))), this.body), this.empty);
  }

  show(detail) {
    const all = [...detail.producer ? [detail.producer] : [], ...detail.consumers ?? []];
    this.empty.hidden = all.length > 0;
    keep(this.body, all, (p) => `${p.row} ${p.attached_at} ${p.name}`, (p) => this.makeRow(p), (row, p) =>
      this.update(row, p));
  }

  makeRow(p) {
    const names = ["state", "process", "delivery", "rate", "lag", "lagTime", "missed", "silent", "buttons"];
    const parts = Object.fromEntries(names.map((name) => [name, make("span")]));
    const cell = (name, number) => make("td", { class: number ? "number" : "" }, parts[name]);
    const row = make("tr", { "data-row": p.row }, make("td", { class: "number" }, String(p.row)),
      make("th", { scope: "row", class: "name" }, p.role === "producer" ? "producer" : visible(p.name)),
      cell("state"), cell("process"), cell("delivery"), cell("rate", true), cell("lag", true), cell("lagTime", true),
      cell("missed", true), cell("silent", true), cell("buttons"));
    row.parts = parts;
    return row;
  }

  update(row, p) {
    const c = row.parts;
    setText(c.state, p.state);
    setClass(c.state, `mark ${p.level}`);
    setText(c.process, p.other_namespace ? `pid ${p.pid} of another pid namespace` : `pid ${p.pid}`);
    setText(c.delivery, p.delivery + (p.durable ? ", durable" : ""));
    setText(c.rate, rate(p.rate));
    setText(c.silent, p.silent_ms === null ? "unknown" : duration(p.silent_ms));
    if (p.role === "producer") return;
    setText(c.lag, count(p.lag) + (TRENDS[p.trend] ?? ""));
    setText(c.lagTime, p.lag === 0 ? "" : age(p.lag_ms, p.lag_known));
    setText(c.missed, count(p.missed));
    this.actions.buttons(c.buttons, [["Evict…", { action: "evict", row: p.row }]]);
  }
}
