// Recovery by button: a dry run, what it would do, and the confirmation.

import { make, setHidden, setText } from "./dom.js";
import { post } from "./client.js";
import { visible } from "./format.js";

const FORCEFUL = ["evict", "reset-slot"];

export class Actions {
  constructor(block, allowed) {
    this.block = block;
    this.allowed = allowed;
  }

  /** Puts one button for each [title, request] into a place, if the server allows actions. */
  buttons(place, wanted) {
    const shown = this.allowed ? wanted : [];
    const now = JSON.stringify(shown);
    if (place.dataset.buttons === now) return;
    place.dataset.buttons = now;
    place.replaceChildren(...shown.map(([title, request]) => make("button", { type: "button", class: "small",
      "data-action": request.action, onclick: () => this.begin(title, request) }, title)));
  }

  async begin(title, request) {
    const dialog = new ActionDialog(title.replace("…", ""), `api/v1/blocks/${encodeURIComponent(this.block)}/actions`);
    await dialog.dryRun(request);
  }
}

/** The dialog of one action. It is closed by Escape, as every dialog. */
class ActionDialog {
  constructor(title, path) {
    this.path = path;
    const part = (name) => document.getElementById(`action-${name}`);
    this.dialog = part("dialog");
    [this.lead, this.steps, this.cancel, this.force, this.confirm] =
      ["lead", "steps", "cancel", "force", "confirm"].map(part);
    setText(part("title"), title);
    this.cancel.onclick = () => this.dialog.close();
  }

  show(lead, steps, { force = false, confirm = false, last = false }) {
    setText(this.lead, visible(lead));
    this.steps.replaceChildren(...steps.map((step) => make("li", {}, visible(step))));
    setHidden(this.force, !force);
    setHidden(this.confirm, !confirm);
    this.confirm.disabled = false;
    setText(this.cancel, last ? "Close" : "Cancel");
    if (!this.dialog.open) this.dialog.showModal();
    this.cancel.focus();
  }

  async dryRun(request) {
    this.force.onclick = () => this.dryRun({ ...request, force: true });
    try {
      const found = await post(`${this.path}/dry-run`, request);
      if (!found.confirmation) {
        this.show("There is nothing to do.", [], { last: true, force: this.mayForce(request) });
        return;
      }
      this.confirm.onclick = () => this.act({ ...request, confirmation: found.confirmation });
      this.show(request.force ? "By force. This would be done, also to a living program:" : "This would be done:",
        found.steps, { confirm: true });
    } catch (error) {
      this.show(`The dry run was refused: ${error.message}`, [], {
        last: true, force: error.status === 409 && this.mayForce(request) });
    }
  }

  mayForce(request) {
    return FORCEFUL.includes(request.action) && !request.force;
  }

  async act(request) {
    this.confirm.disabled = true; // the confirmation is good for one request
    try {
      const done = await post(this.path, request);
      this.show(done.left ? `Something is left: ${done.left}` : "This was done:", done.result, { last: true });
    } catch (error) {
      this.show(`Nothing was done: ${error.message}`, [], { last: true });
    }
  }
}
