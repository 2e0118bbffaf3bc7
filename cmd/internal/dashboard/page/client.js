// The server's interface: requests, the event stream, and the token.

const STORED = "datablock-token";
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 10000;

let token = sessionStorage.getItem(STORED) ?? "";
let asking = null;

/** A request that the server refused. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Asks the user for the token. The answer is false if the user cancels. */
export function askToken(why) {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("token-dialog");
    const input = document.getElementById("token-input");
    document.getElementById("token-why").textContent = why;
    input.value = "";
    dialog.returnValue = "cancel";
    dialog.addEventListener("close", () => {
      asking = null;
      const given = dialog.returnValue === "ok" && input.value.trim() !== "";
      if (given) {
        token = input.value.trim();
        sessionStorage.setItem(STORED, token);
      }
      input.value = "";
      resolve(given);
    }, { once: true });
    document.getElementById("token-cancel").onclick = () => dialog.close("cancel");
    dialog.showModal();
    input.focus();
  });
  return asking;
}

function forget() {
  token = "";
  sessionStorage.removeItem(STORED);
}

async function request(path, options = {}) {
  const headers = { ...options.headers };
  const sent = token;
  if (sent !== "") headers.Authorization = `Bearer ${sent}`;
  const response = await fetch(path, { ...options, headers, cache: "no-store", redirect: "error" });
  if (response.ok) return response;
  let message = `the server answered ${response.status}`;
  try {
    message = (await response.json()).error ?? message;
  } catch { /* not this server's answer */ }
  if (response.status === 401 && sent === token) forget();
  throw new Refused(response.status, message);
}

/** Asks for the token as often as the server wants another one. */
async function authorized(path, options) {
  for (;;) {
    try {
      return await request(path, options);
    } catch (error) {
      if (error.status !== 401 || !await askToken(`${error.message}.`)) throw error;
    }
  }
}

export const getJSON = async (path) => (await authorized(path)).json();

export async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  return (await authorized(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
}

/** Calls back for each event of one response, until the stream ends. */
async function read(response, onEvent) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const events = rest.split("\n\n");
    rest = events.pop();
    for (const event of events) {
      let kind = "message";
      let data = "";
      for (const line of event.split("\n")) {
        if (line.startsWith("event: ")) kind = line.slice(7);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      if (data !== "") onEvent(kind, JSON.parse(data));
    }
  }
}

/**
 * Follows an event stream until the signal aborts it. A lost stream is opened again, after pauses
 * that grow. onState gets "connecting", "live" or "lost", and what was wrong.
 */
export async function follow(path, signal, onEvent, onState) {
  let pause = FIRST_PAUSE;
  onState("connecting");
  while (!signal.aborted) {
    try {
      const response = await authorized(path, { signal });
      await read(response, (kind, data) => {
        if (signal.aborted || kind === "end") return;
        pause = FIRST_PAUSE;
        onState("live");
        try {
          onEvent(kind, data);
        } catch (error) {
          reportError(error); // a fault of this page, and not of the connection
        }
      });
      if (!signal.aborted) onState("lost", "the server closed the stream");
    } catch (error) {
      if (signal.aborted) return;
      onState("lost", error instanceof Refused ? error.message : "the server does not answer");
    }
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, pause);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      }, { once: true });
    });
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  }
}
