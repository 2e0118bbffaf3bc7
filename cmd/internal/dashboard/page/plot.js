// A plot over time: uPlot, with the colours of the style sheet and a text for screen readers.

import uPlot from "./vendor/uPlot.esm.js";
import { colour, make, setAttribute } from "./dom.js";

const HEIGHT = 190;
const SERIES = 6; // colours

export class Plot {
  /** describe makes the text alternative of the values of all series. */
  constructor(title, format, describe) {
    this.format = format;
    this.describe = describe;
    this.title = title;
    this.frame = make("div", { class: "plot", role: "img", "aria-label": title, "data-plot": title });
    this.legend = make("ul", { class: "legend", "aria-hidden": "true" });
    this.element = make("div", {}, this.frame, this.legend);
    this.names = null;
    this.resized = new ResizeObserver(() => this.fit());
    this.resized.observe(this.frame);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => {
      this.names = null;
      if (this.shown) this.show(...this.shown);
    };
    this.scheme.addEventListener("change", this.repaint);
  }

  close() {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.repaint);
    this.plot?.destroy();
  }

  fit() {
    const width = this.frame.clientWidth;
    if (this.plot && width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: HEIGHT });
  }

  /** Shows series: their names, the times in seconds, and for each name its values. */
  show(names, times, values) {
    this.shown = [names, times, values];
    const data = [times, ...values];
    if (this.names === null || names.join("\n") !== this.names.join("\n")) this.build(names, data);
    else this.plot.setData(data);
    setAttribute(this.frame, "aria-label", `${this.title}: ${this.describe(names, values)}`);
    this.frame.dataset.points = String(times.length);
    this.frame.dataset.last = String(times.at(-1) ?? "");
  }

  build(names, data) {
    this.plot?.destroy();
    this.names = names;
    const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false },
      font: "12px system-ui, sans-serif" };
    const series = names.map((name, i) => {
      const stroke = colour(seriesColour(name, i));
      return { label: name, stroke, width: 1.5, points: { show: false }, spanGaps: false,
        fill: names.length === 1 ? `color-mix(in srgb, ${stroke} 12%, transparent)` : undefined };
    });
    this.plot = new uPlot({
      width: Math.max(this.frame.clientWidth, 200), height: HEIGHT, legend: { show: false },
      cursor: { y: false, drag: { setScale: false } },
      scales: { y: { range: (_, __, most) => [0, most > 0 ? most * 1.1 : 1] } },
      axes: [{ ...axis, space: 80, size: 28, values: clock },
        { ...axis, size: 62, values: (_, ticks) => ticks.map((v) => this.format(v)) }],
      series: [{}, ...series],
    }, data, this.frame);
    this.legend.replaceChildren(...names.length < 2 ? [] : names.map((name, i) => {
      const swatch = make("span", { class: "swatch" });
      swatch.style.background = colour(seriesColour(name, i));
      return make("li", {}, swatch, name);
    }));
  }
}

const seriesColour = (name, i) => name === "worst" ? "soft" : `series-${i % SERIES + 1}`;
const clock = (_, ticks) => ticks.map((seconds) => new Date(seconds * 1000).toLocaleTimeString("sv"));
