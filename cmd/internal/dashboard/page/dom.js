// Elements, and changing them only where something has changed.

/** Makes an element. Strings become text, never markup. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

export function setClass(element, name) {
  if (element.className !== name) element.className = name;
}

export function setHidden(element, hidden) {
  if (element.hidden !== hidden) element.hidden = hidden;
}

const kept = new WeakMap(); // the children of each element, by their keys

/**
 * Keeps the children of an element in the order of items: one child for each key. It makes,
 * updates, moves and removes children, and leaves the focus where it is.
 */
export function keep(parent, items, key, create, update) {
  const before = kept.get(parent) ?? new Map();
  const after = new Map(items.map((item) => [key(item), item]));
  const focused = document.activeElement;
  for (const [id, row] of before) if (!after.has(id)) row.remove();
  let place = parent.firstElementChild;
  for (const [id, item] of after) {
    const row = before.get(id) ?? create(item);
    update(row, item);
    if (row === place) place = place.nextElementSibling;
    else parent.insertBefore(row, place);
    after.set(id, row);
  }
  kept.set(parent, after);
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

/** Says something to a screen reader, once. */
export function announce(text) {
  setText(document.getElementById("announcements"), text);
}

/** A colour of the style sheet, for a canvas. */
export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Sizes a canvas for the screen, and returns its context with the origin and unit of CSS. */
export function canvasContext(canvas, width, height) {
  const scale = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
  }
  const context = canvas.getContext("2d");
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}
