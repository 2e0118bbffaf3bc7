// Which page is shown, the state of the connection, and the keys.

import { BlockPage } from "./block.js";
import { getJSON } from "./client.js";
import { announce, setText } from "./dom.js";
import { visible } from "./format.js";
import { Overview } from "./overview.js";

const content = document.getElementById("content");
const connection = document.getElementById("connection");
const pause = document.getElementById("pause");

let page = null;
let about = { actions: false };
let paused = false;
let shown = null; // the address whose page has the focus already

function onState(state, why = "") {
  const before = connection.dataset.state;
  connection.dataset.state = state;
  const texts = { connecting: "Connecting", live: "Live", paused: "Paused" };
  setText(connection, texts[state] ?? `No connection: ${visible(why)}`);
  if (state !== before && state === "lost") announce("The connection was lost. The figures are old.");
}

function blockOf(hash) {
  const found = /^#\/block\/(.+)$/.exec(hash);
  if (found === null) return null;
  try {
    return decodeURIComponent(found[1]);
  } catch {
    return found[1];
  }
}

function show() {
  page?.close();
  const name = blockOf(location.hash);
  document.title = name === null ? "Blocks · DataBlock" : `${visible(name)} · DataBlock`;
  page = name === null ? new Overview(content, onState) : new BlockPage(content, name, about, onState);
  if (shown !== null && shown !== location.hash) {
    content.focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
  shown = location.hash;
}

/** Ends the stream, and leaves the figures as they are, or opens the stream again. */
function setPaused(now) {
  paused = now;
  pause.setAttribute("aria-pressed", String(paused));
  setText(pause, paused ? "Resume" : "Pause");
  if (paused) {
    page.end.abort();
    onState("paused");
  } else show();
}

pause.addEventListener("click", () => setPaused(!paused));
addEventListener("hashchange", () => {
  if (paused) setPaused(false);
  else show();
});
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input, textarea, select");
  const filter = document.getElementById("filter");
  if (event.key === "/" && !typing && filter) {
    event.preventDefault();
    filter.focus();
    filter.select();
  } else if (event.key === "p" && !typing) setPaused(!paused);
  else if (event.key === "Escape" && typing && event.target === filter) {
    filter.value = "";
    filter.dispatchEvent(new Event("input"));
    filter.blur();
  } else if (event.key === "Escape" && !typing && blockOf(location.hash) !== null) location.hash = "#/";
});

try {
  about = await getJSON("api/v1/server");
} catch { /* the stream says why */ }
show();
