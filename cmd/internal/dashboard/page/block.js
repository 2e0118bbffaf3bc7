// The page of one block.

import { announce, keep, make, setClass, setHidden, setText } from "./dom.js";
import { Actions } from "./actions.js";
import { follow } from "./client.js";
import { age, bytes, count, duration, percent, rate, time, visible } from "./format.js";
import { Participants } from "./participants.js";
import { Plot } from "./plot.js";
import { SlotMap } from "./slots.js";

const POINTS = 300; // of a plot
const LINES = 6; // consumers with a line of their own

const FACTS = {
  rate: ["Messages/s", (d) => rate(d.block.rate)],
  bytes: ["Bytes/s", (d) => bytes(d.block.byte_rate)],
  written: ["Written", (d) => count(d.block.written)],
  fill: ["Fill", (d) => percent(d.block.fill)],
  lag: ["Worst lag", ({ block: b }) => count(b.worst_lag) +
    (b.worst_lag > 0 ? ` · ${age(b.worst_lag_ms, b.worst_lag_known)}` : "")],
  consumers: ["Consumers", (d) => `${count(d.block.consumers)} of ${count(d.block.consumer_limit)}`],
  waited: ["Producer waited", (d) => d.metrics
    ? `${count(d.metrics.waits)} × · ${duration(d.metrics.waited_ms)}` : "–"],
  slots: ["Slots", ({ block: b }) => `${count(b.slot_count)} + ${count(b.spare_slots)} of ${bytes(b.slot_size)}`],
  memory: ["Memory", (d) => bytes(d.block.total_bytes)],
  policy: ["Policy", (d) => d.block.policy || "–"],
  checksum: ["Checksums", (d) => d.block.checksum || "none"],
  age: ["Age", (d) => d.metrics ? duration(d.metrics.age_ms) : "–"],
};

export class BlockPage {
  constructor(parent, name, about, onState) {
    this.name = name;
    this.end = new AbortController();
    this.actions = new Actions(name, about.actions);
    this.times = [];
    this.rates = [];
    this.lags = new Map([["worst", []]]);
    this.build(parent);
    follow(`api/v1/events?block=${encodeURIComponent(name)}`, this.end.signal, (_, detail) => this.take(detail),
      onState);
  }

  close() {
    this.end.abort();
    for (const part of [this.ratePlot, this.lagPlot, this.slots]) part.close();
  }

  build(parent) {
    const span = (names, values) => values.map((v, i) => {
      const known = v.filter((n) => n !== null);
      return known.length === 0 ? `${names[i]} not known` : `${names.length > 1 ? `${names[i]} ` : ""}now ` +
        `${rate(known.at(-1))}, at most ${rate(Math.max(...known))}`;
    }).join("; ");
    this.ratePlot = new Plot("Messages per second", rate, span);
    this.lagPlot = new Plot("Lag in messages", rate, span);
    this.slots = new SlotMap(this.actions);
    this.participants = new Participants(this.actions);
    this.state = make("span", { class: "mark" });
    this.notice = make("p", { class: "notice bad", role: "alert", hidden: true });
    this.recover = make("span");
    this.facts = Object.fromEntries(Object.keys(FACTS).map((key) => [key, make("dd", { id: `fact-${key}` }, "–")]));
    this.schemaName = make("span", { class: "soft" });
    this.schema = make("pre", { tabindex: "0", "aria-label": "Schema" });
    this.newestTitle = make("span", { class: "soft" });
    this.newest = make("dl", { class: "tree", id: "newest", tabindex: "0", "aria-label": "Newest message" });
    this.newestNote = make("p", { class: "soft", hidden: true });
    this.log = make("tbody");
    this.logTable = make("table", {}, make("caption", { class: "unseen" }, "Recovery log, newest first"),
      make("thead", {}, make("tr", {}, ...["Time", "Process", "What was done"].map((t) =>
        make("th", { scope: "col" }, t)))), this.log);
    this.logEmpty = make("p", { class: "empty" }, "Nothing was recovered.");
    const card = (title, wide, ...content) => make("section", { class: wide ? "card wide" : "card" },
      make("h2", {}, ...[title].flat()), ...content);
    parent.replaceChildren(
      make("a", { class: "back", href: "#/" }, "← All blocks"),
      make("div", { class: "lead" }, make("h1", {}, visible(this.name)), this.state, make("span", { class: "grow" }),
        this.recover),
      this.notice,
      make("dl", { class: "facts" }, ...Object.entries(FACTS).map(([key, [title]]) =>
        make("div", {}, make("dt", {}, title), this.facts[key]))),
      make("div", { class: "cards" },
        card("Rate", false, this.ratePlot.element), card("Lag", false, this.lagPlot.element),
        card("Participants", true, this.participants.element),
        card("Slots", true, this.slots.element),
        card(["Newest message", this.newestTitle], false, this.newest, this.newestNote),
        card(["Schema", this.schemaName], false, this.schema),
        card("Recovery log", true, this.logEmpty, make("div", { class: "scroll" }, this.logTable))));
  }

  take(detail) {
    const b = detail.block;
    if (b.condition !== this.condition && this.condition !== undefined) {
      announce(`Block ${visible(b.name)}: ${visible(b.condition)}`);
    }
    this.condition = b.condition;
    setText(this.state, visible(b.condition));
    setClass(this.state, `mark ${b.level}`);
    const faults = [b.problem, ...Object.values(detail.errors ?? {})].filter(Boolean);
    setText(this.notice, visible([...new Set(faults)].join(" · ")));
    setHidden(this.notice, faults.length === 0);
    if (!detail.found) return; // the last figures stay, under the notice
    for (const [key, [, text]] of Object.entries(FACTS)) setText(this.facts[key], text(detail));
    this.actions.buttons(this.recover, [["Recover…", { action: "auto-recover" }],
      ["Remove dead consumers…", { action: "cleanup" }]]);
    this.takePoint(detail);
    this.participants.show(detail);
    if (detail.slots) this.slots.show(detail.slots);
    this.showNewest(detail.newest);
    this.showSchema(detail.schema);
    this.showLog(detail.log ?? []);
  }

  takePoint(detail) {
    const worst = this.lags.get("worst");
    if (this.times.length === 0) {
      const { at_ms: times, rate: rates, lag } = detail.block.history;
      this.times.push(...times.slice(-POINTS).map((t) => t / 1000));
      this.rates.push(...rates.slice(-POINTS));
      worst.push(...lag.slice(-POINTS));
    } else {
      this.times.push(detail.at_ms / 1000);
      this.rates.push(detail.block.rate);
      worst.push(detail.block.worst_lag);
    }
    const present = new Map((detail.consumers ?? []).slice(0, LINES).map((c) =>
      [`${c.row} ${visible(c.name)}`, c.lag]));
    for (const key of present.keys()) if (!this.lags.has(key)) this.lags.set(key, []);
    for (const [key, values] of this.lags) {
      if (key === "worst") continue;
      while (values.length < this.times.length - 1) values.unshift(null);
      values.push(present.get(key) ?? null);
      if (values.every((v) => v === null)) this.lags.delete(key);
    }
    if (this.times.length > POINTS) {
      for (const values of [this.times, this.rates, ...this.lags.values()]) values.shift();
    }
    this.ratePlot.show(["messages/s"], this.times, [this.rates]);
    this.lagPlot.show([...this.lags.keys()], this.times, [...this.lags.values()]);
  }

  showNewest(message) {
    const lines = message?.lines ?? [];
    setText(this.newestTitle, message?.id === undefined ? "" : `id ${message.id} · ${bytes(message.length)}` +
      (message.time ? ` · ${time(message.time)}` : ""));
    keep(this.newest, lines.flatMap((line, i) => [{ ...line, i, tag: "dt" }, { ...line, i, tag: "dd" }]),
      (line) => `${line.tag}${line.i}`, (line) => make(line.tag),
      (element, line) => setText(element, visible(line.tag === "dt" ? line.path : line.value)));
    setHidden(this.newest, lines.length === 0);
    const note = message?.error ?? message?.note ?? (message ? "" : "There is no message.");
    setText(this.newestNote, visible(note));
    setHidden(this.newestNote, note === "");
  }

  showSchema(schema) {
    setText(this.schemaName, schema ? visible(`${schema.name}@${schema.version}`) : "");
    setText(this.schema, schema ? schema.text.replaceAll("\t", "  ").split("\n").map(visible).join("\n")
      : "The producer declared none: messages are bytes.");
  }

  showLog(records) {
    setHidden(this.logEmpty, records.length > 0);
    setHidden(this.logTable, records.length === 0);
    keep(this.log, [...records].reverse(), (r) => r.number, (r) => make("tr", {},
      make("td", {}, time(r.time)), make("td", {}, `pid ${r.pid}, uid ${r.uid}`),
      make("td", { class: "text" }, visible(r.text))), () => {});
  }
}
