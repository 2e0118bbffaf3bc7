// How figures and foreign text are shown.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });
const one = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const count = (n) => whole.format(n);

/** A rate in a second; small ones keep a digit behind the point. */
export function rate(n) {
  if (n === 0) return "0";
  if (n < 10) return one.format(n);
  return n < 100000 ? whole.format(n) : short.format(n);
}

export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let at = 0;
  while (n >= 1024 && at < units.length - 1) {
    n /= 1024;
    at++;
  }
  return `${at === 0 ? whole.format(n) : one.format(n)} ${units[at]}`;
}

export function duration(ms) {
  if (ms < 1) return "0 ms";
  if (ms < 1000) return `${whole.format(ms)} ms`;
  if (ms < 60e3) return `${one.format(ms / 1000)} s`;
  if (ms < 3600e3) return `${Math.floor(ms / 60e3)} min ${Math.floor((ms % 60e3) / 1000)} s`;
  if (ms < 48 * 3600e3) return `${Math.floor(ms / 3600e3)} h ${Math.floor((ms % 3600e3) / 60e3)} min`;
  return `${Math.floor(ms / 86400e3)} d`;
}

/** The age of a message, which is at least ms if it is not known. */
export function age(ms, known) {
  if (known) return duration(ms);
  return ms > 0 ? `≥ ${duration(ms)}` : "unknown";
}

export const percent = (part) => `${whole.format(part * 100)} %`;

export function time(text) {
  const at = new Date(text);
  return Number.isNaN(at.getTime()) ? text : at.toLocaleString("sv");
}

const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u{fffd}]/gu;
const known = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\u{fffd}": "\u{fffd}" };

/**
 * Text that any process may have chosen, with its control characters, and those that change the
 * direction of writing, as escapes. It is set as textContent, so that nothing in it is markup.
 */
export function visible(text) {
  return String(text).replace(unseen, (c) => known[c] ?? `\\u{${c.codePointAt(0).toString(16)}}`);
}
