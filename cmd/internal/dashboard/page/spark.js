// The sparkline of a block: its rate in the last minute.

import { canvasContext, colour } from "./dom.js";

const WIDTH = 120;
const HEIGHT = 26;
const POINTS = 60;

/** The rates of each block that the page has seen, oldest first. */
export class Rates {
  constructor() {
    this.byName = new Map();
  }

  seed(name, rates) {
    if (!this.byName.has(name)) this.byName.set(name, rates.slice(-POINTS));
  }

  add(name, rate) {
    const rates = this.byName.get(name) ?? [];
    rates.push(rate);
    if (rates.length > POINTS) rates.shift();
    this.byName.set(name, rates);
  }

  of(name) {
    return this.byName.get(name) ?? [];
  }

  retain(names) {
    for (const name of this.byName.keys()) if (!names.has(name)) this.byName.delete(name);
  }
}

const shown = new WeakSet();
const seen = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    if (isIntersecting) {
      shown.add(target);
      if (target.rates) draw(target, target.rates);
    } else shown.delete(target);
  }
}, { rootMargin: "200px" });

export function makeSpark() {
  const canvas = document.createElement("canvas");
  canvas.className = "spark";
  canvas.setAttribute("aria-hidden", "true"); // the column before it has the figure
  seen.observe(canvas);
  return canvas;
}

/** Draws a sparkline, unless it is scrolled out of sight. */
export function showSpark(canvas, rates) {
  canvas.rates = rates;
  if (shown.has(canvas)) draw(canvas, rates);
}

function draw(canvas, rates) {
  const context = canvasContext(canvas, WIDTH, HEIGHT);
  const most = Math.max(...rates, 0);
  if (rates.length < 2) return;
  const x = (i) => WIDTH - 1 - (rates.length - 1 - i) * (WIDTH - 2) / (POINTS - 1);
  const y = (rate) => HEIGHT - 2 - (most === 0 ? 0 : rate / most * (HEIGHT - 5));
  context.beginPath();
  rates.forEach((rate, i) => context.lineTo(x(i), y(rate)));
  context.strokeStyle = most === 0 ? colour("line") : colour("series-1");
  context.lineWidth = 1.3;
  context.lineJoin = "round";
  context.stroke();
  context.lineTo(x(rates.length - 1), HEIGHT - 1);
  context.lineTo(x(0), HEIGHT - 1);
  context.globalAlpha = 0.12;
  context.fillStyle = context.strokeStyle;
  context.fill();
  context.globalAlpha = 1;
}
