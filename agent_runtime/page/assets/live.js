// Follows a run: connects its stream with a view, and the view's controls with the run.
import { button, h } from "./dom.js";
import { followEnd } from "./follow.js";
import { RunView } from "./run_view.js";
import { client, curlLine, failure, withKey } from "./session.js";

/** Displays a run. `request` starts a new run; otherwise the run with the id is read from its beginning. */
export class LiveRun {
  constructor(runId, { request = null, title = "", onstart = () => {}, onerror = () => {}, compact = false } = {}) {
    this.runId = runId;
    this.onstart = onstart;
    this.onerror = onerror;
    this.abort = new AbortController();
    const { signal } = this.abort;
    this.stream = request ? client.run(request, signal) : client.events(runId, -1, signal);
    this.stream.onInterruption = (error) => {
      if (!this.runId && error) onerror(error);
      this.connection.replaceChildren(...(error ? [h("p", { class: "why bad" }, "The connection was lost; connecting again.")] : []));
    };
    this.connection = h("div", { role: "status" });
    this.controls = compact ? null : this.controlBar();
    this.view = new RunView({
      title, runId, controls: this.controls,
      answer: (entry, text) => this.answer(entry, text),
      curl: () => curlLine("GET", `/v1/runs/${encodeURIComponent(this.stream.runId)}/events`, null, true),
      report: () => this.downloadReport(),
      onend: () => this.ended(),
    });
    this.element = h("div", {}, this.connection, this.view.element);
    this.stopFollowing = compact || !request ? () => {} : followEnd(this.view.element);
    this.timer = setInterval(() => this.view.tick(), 1000);
    this.follow();
  }

  async follow() {
    try {
      await withKey(async () => {
        if (this.runId) await this.describe();
        for await (const event of this.stream) {
          if (this.runId !== this.stream.runId) {
            this.begun(this.stream.runId);
            this.describe();
          }
          this.view.push(event);
        }
      });
    } catch (error) {
      if (!this.abort.signal.aborted) this.connection.replaceChildren(failure(error));
      if (!this.runId) this.onerror(error);
    }
  }

  setPaused(paused) {
    this.view.paused = paused;
    if (this.pause) this.pause.textContent = paused ? "Resume" : "Pause";
    this.view.tick();
  }

  begun(runId) {
    this.runId = runId;
    this.view.options.runId = runId;
    this.onstart(runId);
  }

  /** Asks for the messages, prompts and images, which are in the recording and not in the stream. */
  async describe() {
    try {
      const data = await client.data("GET", `/v1/runs/${encodeURIComponent(this.stream.runId)}/report`);
      this.view.describe({ ...data, ended: undefined }); // the stream says whether the run has ended
      const last = data.controls.findLast((control) => ["pause", "resume"].includes(control.action));
      this.setPaused(last?.action === "pause" && !data.ended);
    } catch {
      // a run that is not recorded has none
    }
  }

  ended() {
    clearInterval(this.timer);
    this.stopFollowing();
    this.controls?.remove();
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.describe();
  }

  close() {
    clearInterval(this.timer);
    this.stopFollowing();
    this.abort.abort();
  }

  controlBar() {
    const text = h("textarea", { rows: 2, placeholder: "Send a message to the agent", "aria-label": "Message to the agent" });
    const said = h("span", { class: "soft", role: "status" });
    const act = async (work, message) => {
      try {
        await withKey(work);
        said.textContent = message;
      } catch (error) {
        said.textContent = error.message;
      }
    };
    const send = (event) => {
      event?.preventDefault();
      const message = text.value.trim();
      if (!message) return;
      text.value = "";
      act(async () => {
        await client.input(this.stream.runId, message);
        this.view.addControl("input", message);
      }, "Sent; it is delivered before the next model call");
    };
    text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey) send(event);
    });
    this.pause = button("Pause", () => {
      const paused = !this.view.paused;
      this.setPaused(paused);
      act(() => (paused ? client.pause(this.stream.runId) : client.resume(this.stream.runId)), paused ? "Paused before the next step" : "Resumed");
    });
    const cancel = button("Cancel", () => act(() => client.cancel(this.stream.runId), "Cancelling"), { class: "danger" });
    return h("form", { class: "controls", onsubmit: send, "aria-label": "Control of the run" },
      text, h("div", { class: "actions" }, h("button", { class: "primary" }, "Send"), this.pause, cancel, said));
  }

  /** Saves the report as a file; a link would not do, because the request needs the key. */
  async downloadReport() {
    const path = `/v1/runs/${encodeURIComponent(this.stream.runId)}/report`;
    const response = await withKey(() => client.send("GET", path, { accept: "text/html" }));
    const address = URL.createObjectURL(await response.blob());
    h("a", { href: address, download: `${this.stream.runId}.html` }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  }

  async answer(entry, text) {
    try {
      await withKey(() => client.answer(this.stream.runId, entry.event.id, text));
      entry.answer = text;
      entry.running = false;
      this.view.display(entry);
    } catch (error) {
      this.connection.replaceChildren(failure(error));
    }
  }
}
