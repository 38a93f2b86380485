// The view of one run: its head, timeline, toolbar, steps and panels. The report and the application use it.
import { usageCharts, timeline } from "./charts.js";
import { button, copyButton, duration, folded, h } from "./dom.js";
import { EntryView } from "./entries.js";
import { ending } from "./measures.js";
import { RunModel } from "./model.js";
import { fileTree, limitBars, promptPanel, serverPanel, summaryRows, timeTables } from "./panels.js";
import { Toolbar } from "./toolbar.js";

const STEPS_PER_FRAME = 250; // new steps that are displayed at once

/** Displays a run while its events arrive: `push(event)`. Options: {title, runId, curl, report, answer, controls, onend}. */
export class RunView {
  constructor(options = {}) {
    this.options = options;
    this.model = new RunModel();
    this.data = { messages: [], prompts: [], images: {} };
    this.views = new Map(); // entry -> EntryView
    this.queue = []; // events that are not displayed yet
    this.controlRecords = [];
    this.mode = window.matchMedia("(min-width: 1100px)").matches ? "split" : "inline";
    this.context = { model: this.model, mode: () => this.mode, images: {}, answer: options.answer };
    this.build();
  }

  build() {
    this.states = {}; // what the elements beside the steps were last built from
    this.head = h("header", { class: "run-head" });
    this.live = h("p", { class: "soft live-line" });
    this.line = h("div", { class: "timeline-box" });
    this.steps = h("ol", { class: "steps", "aria-label": "Steps of the run" });
    this.toolbar = new Toolbar(this);
    this.embedded = h("div", { class: "embedded" });
    this.request = h("div");
    const isWide = window.matchMedia("(min-width: 901px)").matches;
    const panel = (title, open = isWide) => {
      const body = h("div");
      return { body, element: h("details", { class: "panel", open }, h("summary", {}, title), body) };
    };
    this.panels = { files: panel("Files"), servers: panel("Servers"), limits: panel("Limits"), usage: panel("Tokens and cost"), times: panel("Time", false) };
    this.requestPanel = panel("Request, prompt and tools", false);
    this.requestPanel.body.append(this.request);
    this.requestPanel.element.classList.add("request");
    this.element = h("article", { class: "run" },
      this.head, this.requestPanel.element, this.line, this.toolbar.element,
      h("div", { class: "columns" },
        h("div", { class: "main" }, this.embedded, this.steps, this.options.controls),
        h("aside", { "aria-label": "About the run" }, Object.values(this.panels).map((each) => each.element))));
    this.refresh();
  }

  /** Takes an event; the view is updated with the next animation frame. */
  push(event) {
    this.queue.push(event);
    this.schedule();
  }

  /** Takes what the events do not contain: {messages, prompts, images, controls}. */
  describe(data) {
    this.data = data;
    this.context.images = data.images;
    if (this.model.seq < 0) this.controlRecords = [...data.controls];
    for (const [entry, view] of this.views) if (entry.kind === "call" && data.images[entry.event.id]) view.update();
    this.request.replaceChildren(...promptPanel(data));
    this.refresh();
  }

  /** A control message that was sent from here. */
  addControl(action, text) {
    for (const entry of this.model.addControl({ ts: new Date().toISOString(), action, text })) this.display(entry);
  }

  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    const later = document.hidden ? (work) => setTimeout(work, 200) : requestAnimationFrame;
    later(() => {
      this.scheduled = false;
      this.work();
    });
  }

  /** Displays the queued events. Long queues take several frames, so that the page stays responsive. */
  work() {
    const changed = new Set();
    let steps = 0;
    while (this.queue.length > 0 && steps < STEPS_PER_FRAME) {
      this.takeControls(this.queue[0].seq, changed);
      for (const entry of this.model.apply(this.queue.shift())) {
        if (!changed.has(entry)) steps += 1;
        changed.add(entry);
      }
    }
    if (this.queue.length === 0 && this.model.complete) this.takeControls(Infinity, changed);
    for (const entry of changed) this.display(entry);
    this.refresh();
    if (this.queue.length > 0) this.schedule();
    if (this.model.complete && this.queue.length === 0) this.options.onend?.();
  }

  takeControls(seq, changed) {
    while (this.controlRecords[0]?.before <= seq) for (const entry of this.model.addControl(this.controlRecords.shift())) changed.add(entry);
  }

  display(entry) {
    const known = this.views.get(entry);
    if (known) known.update();
    else {
      const view = new EntryView(entry, this.context);
      if (this.lastTurn !== entry.turn && entry.turn > 0) this.steps.append(h("li", { class: "turn" }, `Turn ${entry.turn}`));
      this.lastTurn = entry.turn;
      this.views.set(entry, view);
      this.steps.append(view.element);
    }
    this.toolbar.check(entry, this.views.get(entry).element);
  }

  /** Updates what is displayed beside the steps, each part only if it has changed. */
  refresh() {
    const { model, panels } = this;
    const now = Date.now();
    const jump = (entry) => this.jump(entry);
    const edits = [...model.files.values()].reduce((sum, file) => sum + file.entries.length, 0);
    const servers = [...model.servers.values()].map((server) => server.seq).join();
    const calls = [...model.tools.values()].reduce((sum, tool) => sum + tool.calls, 0);
    const state = [model.status, model.usages.length, calls, edits, Boolean(model.start), this.data.messages.length, this.data.ended];
    this.part("head", state.join(), this.head, () => this.headParts());
    this.part("line", `${model.spans.length} ${model.status}`, this.line, () => [timeline(model, jump, now)]);
    this.part("files", edits, panels.files.body, () => fileTree(model, jump));
    this.part("servers", servers, panels.servers.body, () => serverPanel(model, this.embedded));
    this.part("usage", model.usages.length, panels.usage.body, () => usageCharts(model));
    this.part("times", `${calls} ${model.usages.length}`, panels.times.body, () => timeTables(model));
    this.toolbar.refresh();
    this.tick();
  }

  part(name, state, element, build) {
    if (this.states[name] === state) return;
    this.states[name] = state;
    element.replaceChildren(...build());
  }

  /** Updates what depends on the time. */
  tick() {
    const now = Date.now();
    const active = !this.model.complete && this.data.ended !== false;
    this.live.hidden = !active;
    if (active) this.live.textContent = this.waitingFor(now);
    this.panels.limits.body.replaceChildren(...limitBars(this.model, now));
  }

  headParts() {
    const { model, options } = this;
    const status = this.data.ended === false && !model.complete ? "killed" : model.status;
    const asked = this.data.messages.filter((each) => each.role === "user").at(-1)?.text ?? options.title ?? "";
    const why = status === "killed" ? "The recording has no end: the process was killed." : ending(model);
    const failed = !["completed", "running", "starting"].includes(status);
    return [
      h("div", { class: "badges" },
        h("span", { class: `status ${status}`, role: "status" }, status),
        model.complete && model.complete.stopReason !== "end_turn" && h("span", { class: "fact" }, model.complete.stopReason),
        h("code", { class: "soft" }, model.start?.runId ?? options.runId ?? ""),
        options.curl && copyButton("Copy as curl", options.curl, { class: "small" }),
        options.report && button("Report", options.report, { class: "small" })),
      h("h1", {}, asked.length > 400 ? `${asked.slice(0, 400)}…` : asked),
      why && h("p", { class: `why ${failed ? "bad" : ""}` }, why),
      this.live,
      h("dl", { class: "facts" }, summaryRows(model).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))),
    ].filter(Boolean);
  }

  waitingFor(now) {
    const running = this.model.entries.findLast((entry) => entry.running);
    const asked = this.model.entries.findLast((entry) => entry.running && entry.kind === "question");
    let what = "Waiting for the model";
    if (asked) what = "Waiting for an answer";
    else if (this.paused) what = "Paused";
    else if (running) what = running.kind === "call" && !running.arriving ? `Running ${running.tool}` : "The model is writing";
    return `${what} · ${this.model.began ? duration(Math.max(0, now - this.model.began)) : "starting"}`;
  }

  /** Goes to a step; steps that the filter hides are displayed again. */
  jump(entry) {
    const view = this.views.get(entry);
    if (!view) return;
    if (view.element.hidden) this.toolbar.reset();
    view.element.scrollIntoView({ block: "center" });
    view.element.focus({ preventScroll: true });
    for (const other of this.steps.querySelectorAll(".current")) other.classList.remove("current");
    view.element.classList.add("current");
  }

  /** Changes how diffs are displayed: inline or split. */
  setMode(mode) {
    this.mode = mode;
    for (const [entry, view] of this.views) if (entry.kind === "edit") view.update();
  }
}
