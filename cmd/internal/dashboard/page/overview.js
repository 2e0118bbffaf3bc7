// The overview: one row for each block.

import { announce, keep, make, setAttribute, setClass, setHidden, setText } from "./dom.js";
import { follow, getJSON } from "./client.js";
import { age, bytes, count, percent, rate, visible } from "./format.js";
import { makeSpark, Rates, showSpark } from "./spark.js";

const GONE_FOR = 60000; // ms that a removed block stays in the table

const SEVERITY = { bad: 3, attention: 2, good: 1, idle: 0 };

const COLUMNS = [
  { key: "name", title: "Block", value: (b) => b.name },
  { key: "state", title: "State", value: (b) => SEVERITY[b.level] ?? 0, falling: true },
  { key: "rate", title: "Messages/s", value: (b) => b.rate, falling: true, number: true },
  { key: "bytes", title: "Bytes/s", value: (b) => b.byte_rate, falling: true, number: true },
  { title: "Last minute" },
  { key: "fill", title: "Fill", value: (b) => b.fill, falling: true, number: true },
  { key: "consumers", title: "Consumers", value: (b) => b.consumers, falling: true, number: true },
  { key: "lag", title: "Worst lag", value: (b) => b.worst_lag, falling: true, number: true },
];

export const blockPath = (name) => `#/block/${encodeURIComponent(name)}`;

export class Overview {
  constructor(parent, onState) {
    this.rates = new Rates();
    this.gone = new Map();
    this.levels = new Map();
    this.sorting = { key: "name", falling: false };
    this.blocks = [];
    this.end = new AbortController();
    this.onState = onState;
    this.build(parent);
    this.start();
  }

  close() {
    this.end.abort();
  }

  build(parent) {
    this.summary = make("p", { class: "summary", id: "summary" }, "Reading the blocks");
    this.filter = make("input", { id: "filter", type: "search", placeholder: "Filter ( / )", "aria-label":
      "Show only blocks whose name or state has this text", "aria-keyshortcuts": "/", oninput: () => this.show() });
    this.problem = make("p", { class: "notice bad", role: "alert", hidden: true });
    this.empty = make("p", { class: "empty", hidden: true });
    this.body = make("tbody");
    this.heads = COLUMNS.map((column) => {
      const content = column.key ? make("button", { type: "button", onclick: () => this.sort(column) }, column.title)
        : column.title;
      return make("th", { scope: "col", class: column.number ? "number" : "" }, content);
    });
    this.table = make("table", { class: "blocks" },
      make("caption", { class: "unseen" }, "Blocks, with figures that change every second"),
      make("thead", {}, make("tr", {}, ...this.heads)), this.body);
    parent.replaceChildren(
      make("div", { class: "lead" }, make("h1", {}, "Blocks"), this.summary, make("span", { class: "grow" }),
        this.filter),
      this.problem, make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Blocks" }, this.table),
      this.empty);
    this.mark();
  }

  async start() {
    try {
      const first = await getJSON("api/v1/blocks");
      for (const block of first.blocks) this.rates.seed(block.name, block.history.rate);
      if (!this.end.signal.aborted) this.take(first, false);
    } catch { /* the stream says why */ }
    await follow("api/v1/events", this.end.signal, (_, view) => this.take(view, true), this.onState);
  }

  take(view, adds) {
    this.taken = view;
    const names = new Set(view.blocks.map((b) => b.name));
    for (const block of this.blocks) {
      if (!names.has(block.name) && !block.gone) {
        this.gone.set(block.name, { ...block, gone: Date.now(), level: "idle", condition: "removed", rate: 0,
          byte_rate: 0, fill: 0, consumers: 0, dead: 0, worst_lag: 0, worst_lag_ms: 0 });
        announce(`Block ${visible(block.name)} was removed`);
      }
    }
    for (const [name, block] of this.gone) {
      if (names.has(name) || Date.now() - block.gone > GONE_FOR) this.gone.delete(name);
    }
    for (const block of view.blocks) {
      if (adds) this.rates.add(block.name, block.rate);
      const before = this.levels.get(block.name);
      if (before !== undefined && before !== block.level && SEVERITY[block.level] > SEVERITY.good) {
        announce(`Block ${visible(block.name)}: ${visible(block.condition)}`);
      }
      this.levels.set(block.name, block.level);
    }
    this.blocks = [...view.blocks, ...this.gone.values()];
    this.rates.retain(new Set(this.blocks.map((b) => b.name)));
    this.show();
  }

  sort(column) {
    const falling = this.sorting.key === column.key ? !this.sorting.falling : Boolean(column.falling);
    this.sorting = { key: column.key, falling };
    this.mark();
    this.show();
  }

  mark() {
    COLUMNS.forEach((column, i) => setAttribute(this.heads[i], "aria-sort",
      column.key !== this.sorting.key || !column.key ? null : this.sorting.falling ? "descending" : "ascending"));
  }

  show() {
    const wanted = this.filter.value.trim().toLowerCase();
    const found = this.blocks.filter((b) => wanted === "" ||
      `${b.name} ${b.schema ?? ""} ${b.condition}`.toLowerCase().includes(wanted));
    const { value } = COLUMNS.find((column) => column.key === this.sorting.key);
    const sign = this.sorting.falling ? -1 : 1;
    found.sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      return x < y ? -sign : x > y ? sign : a.name < b.name ? -1 : 1;
    });
    keep(this.body, found, (b) => b.name, makeRow, (row, block) => this.update(row, block));
    const here = this.blocks.filter((b) => !b.gone);
    const troubled = here.filter((b) => SEVERITY[b.level] > SEVERITY.good).length;
    const sum = (field) => here.reduce((total, b) => total + b[field], 0);
    setText(this.summary, `${count(here.length)} ${here.length === 1 ? "block" : "blocks"} · ${count(troubled)} to ` +
      `attend · ${rate(sum("rate"))} messages/s · ${bytes(sum("byte_rate"))}/s`);
    setText(this.problem, visible(this.taken?.problem ?? ""));
    setHidden(this.problem, !this.taken?.problem);
    setText(this.empty, this.blocks.length === 0 ? "There are no blocks in this directory."
      : "No block has this text in its name or state.");
    setHidden(this.empty, found.length > 0 || !this.taken);
    setHidden(this.table, found.length === 0);
  }

  update(row, b) {
    const c = row.parts;
    setClass(row, b.gone ? "gone" : "");
    setText(c.state, visible(b.condition));
    setClass(c.state, `mark ${b.level}`);
    setText(c.problem, visible(b.problem ?? ""));
    setText(c.schema, visible([b.schema, b.policy].filter(Boolean).join(" · ")));
    setText(c.rate, rate(b.rate));
    setText(c.bytes, bytes(b.byte_rate));
    showSpark(c.spark, this.rates.of(b.name));
    if (c.meter.value !== b.fill) c.meter.value = b.fill;
    setText(c.fill, percent(b.fill));
    setText(c.consumers, count(b.consumers));
    setText(c.dead, b.dead > 0 ? `${count(b.dead)} dead` : "");
    setText(c.lag, count(b.worst_lag));
    setText(c.lagTime, b.worst_lag > 0 ? age(b.worst_lag_ms, b.worst_lag_known) : "");
  }
}

function makeRow(b) {
  const parts = {
    state: make("span", { class: "mark" }), problem: make("small", { class: "text" }), schema: make("small"),
    rate: make("span"), bytes: make("span"), spark: makeSpark(), meter: make("meter", { class: "fill", min: 0, max: 1,
      "aria-hidden": "true" }),
    fill: make("span"), consumers: make("span"), dead: make("small"), lag: make("span"), lagTime: make("small"),
  };
  const link = make("a", { href: blockPath(b.name) }, visible(b.name));
  const row = make("tr", { "data-block": b.name },
    make("th", { scope: "row", class: "name" }, link, parts.schema),
    make("td", { class: "state" }, parts.state, parts.problem),
    make("td", { class: "number" }, parts.rate), make("td", { class: "number" }, parts.bytes),
    make("td", {}, parts.spark), make("td", { class: "number" }, parts.meter, parts.fill),
    make("td", { class: "number" }, parts.consumers, parts.dead),
    make("td", { class: "number" }, parts.lag, parts.lagTime));
  row.parts = parts;
  return row;
}
