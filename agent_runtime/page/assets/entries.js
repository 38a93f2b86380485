// Displays the steps of a run.
import { button, clock, duration, folded, h, link, picture, plural, size } from "./dom.js";
import { diffTable } from "./diff.js";
import { markdown } from "./markdown.js";
import { liveText, longText } from "./text.js";

const LABELS = {
  reasoning: "Thinking", text: "Model", answer: "Answer", call: "Call", edit: "File", server: "Server",
  question: "Question", plan: "Plan", error: "Error", notice: "Notice", control: "Control",
};

/** Displays one step, and again when it has changed. `context`: {model, mode, images, answer}. */
export class EntryView {
  constructor(entry, context) {
    this.entry = entry;
    this.context = context;
    this.element = h("li", { id: `step-${entry.key}`, tabindex: -1 });
    this.update();
  }

  update() {
    const { entry, context } = this;
    const state = entry.failed ? "failed" : entry.running ? "running" : "";
    this.element.className = `step ${entry.kind} ${state}`.trim();
    // what the reader has unfolded stays so
    const opened = [...this.element.querySelectorAll("details")].map((each) => each.open);
    this.element.replaceChildren(...[heading(entry, context.model.start?.workspace), BODIES[entry.kind]?.(entry, context)].flat(Infinity).filter(Boolean));
    for (const [index, each] of [...this.element.querySelectorAll("details")].entries()) {
      if (opened[index] !== undefined) each.open = opened[index];
    }
  }
}

function heading(entry, workspace) {
  const pieces = [h("span", { class: "kind" }, entry.kind === "call" ? entry.tool : LABELS[entry.kind])];
  if (entry.kind === "call") pieces.push(h("code", { class: "title" }, entry.title), facts(entry));
  else if (entry.kind === "edit") pieces.push(editTitle(entry.event, workspace));
  else if (entry.title && entry.title !== LABELS[entry.kind]) pieces.push(h("span", { class: "title" }, entry.title));
  return h("div", { class: "heading" }, pieces, h("time", { datetime: entry.at ?? "" }, clock(entry.at)));
}

function facts(entry) {
  if (entry.running) return h("span", { class: "fact running" }, entry.arriving ? "arriving" : "running");
  const result = entry.result;
  if (!result) return h("span", { class: "fact" }, "no result");
  const outcome = result.outcome && result.outcome !== "completed" ? result.outcome.replaceAll("_", " ") : null;
  return [
    outcome && h("span", { class: "fact bad" }, outcome),
    result.exitCode !== undefined && result.exitCode !== null && h("span", { class: `fact ${result.exitCode ? "bad" : ""}` }, `exit ${result.exitCode}`),
    h("span", { class: "fact" }, duration(result.durationMs)),
  ];
}

function editTitle(event, workspace) {
  const relative = (path) => (workspace && path.startsWith(`${workspace}/`) ? path.slice(workspace.length + 1) : path);
  const name = event.oldPath ? `${relative(event.oldPath)} → ${relative(event.path)}` : relative(event.path);
  return [
    h("span", { class: "fact" }, event.action),
    h("code", { class: "title" }, name),
    h("span", { class: "added" }, `+${event.additions ?? 0}`),
    h("span", { class: "deleted" }, `−${event.deletions ?? 0}`),
    event.source === "shell" && h("span", { class: "fact" }, "by a command"),
    event.outsideWorkspace && h("span", { class: "fact bad" }, "outside the workspace"),
  ];
}

const BY_MODEL = ["reasoning", "text", "answer", "question"]; // texts in Markdown
const LONG_PROSE = 12_000; // characters; longer texts are folded, and while they arrive only their end is displayed

function prose(entry) {
  const label = `text of the step ${LABELS[entry.kind]}`;
  if (entry.text.length <= LONG_PROSE) return BY_MODEL.includes(entry.kind) ? markdown(entry.text) : h("div", { class: "prose" }, entry.text);
  return entry.running ? liveText(entry.text, label) : longText(entry.text, label);
}

const BODIES = {
  reasoning(entry) {
    const first = entry.text.trim().split("\n", 1)[0].slice(0, 140);
    const label = h("summary", {}, entry.running ? entry.text.slice(-200) : first || "(nothing that can be read)");
    return entry.text.trim().length > first.length ? h("details", {}, label, prose(entry)) : h("div", { class: "prose" }, first);
  },
  text: prose,
  answer: prose,
  call(entry, { images }) {
    const result = entry.result;
    const output = entry.output ?? "";
    const pictures = (images?.[entry.event.id] ?? []).map((address) => picture(address, `image returned by ${entry.tool}`));
    return [
      entry.text && inputOf(entry),
      output && (entry.running ? liveText(output, `output of ${entry.tool}`) : longText(output, `output of ${entry.tool}`)),
      pictures,
      result?.outputFile && h("p", { class: "soft" }, `The whole output${result.outputBytes ? ` (${size(result.outputBytes)})` : ""} is in ${result.outputFile}`),
    ];
  },
  edit: (entry, { mode }) => lazyDiff(entry.event, mode),
  server(entry) {
    return h("p", {}, link(entry.text), entry.event.command && h("span", { class: "soft" }, ` ${entry.event.command}`));
  },
  question(entry, { answer }) {
    const given = entry.answer && h("p", { class: "soft" }, `Answered: ${entry.answer}`);
    return [prose(entry), given ?? (answer && entry.running ? answerForm(entry, answer) : null)];
  },
  plan(entry) {
    const items = Array.isArray(entry.event.items) ? entry.event.items : [];
    return h("ul", { class: "plan" }, items.map((item) => h("li", { class: item.status ?? "" }, `${item.step ?? item.text ?? ""}${item.status ? ` (${String(item.status).replaceAll("_", " ")})` : ""}`)));
  },
  error(entry) {
    const wait = entry.event.retryInMs;
    return h("div", { class: "prose" }, entry.text, wait !== undefined && h("span", { class: "soft" }, ` Tried again in ${duration(wait)}.`));
  },
  notice: prose,
  control: prose,
};

/** The input of a call: commands are displayed, other inputs are folded (the changes of files follow as diffs). */
function inputOf(entry) {
  const input = entry.event.input ?? {};
  const text = () => longText(entry.text, `input of ${entry.tool}`, "input");
  const isCommand = typeof input.cmd === "string" || (typeof input.command === "string" && input.path === undefined);
  return isCommand ? text() : folded(`Input, ${plural(entry.text.split("\n").length, "line")}`, text);
}

let observer = null;

/** A diff that is built when it comes near the visible part of the page. */
function lazyDiff(event, mode) {
  if (event.binary) return h("p", { class: "soft" }, `A binary file${event.size ? ` of ${size(event.size)}` : ""}.`);
  const lines = (event.diff.match(/\n/g) ?? []).length;
  const box = h("div", { class: "lazy", style: { "min-height": `${Math.min(60, lines) * 1.4}em` } });
  box.build = () => {
    box.build = null;
    const note = event.truncated ? h("p", { class: "soft" }, `The diff was cut; the whole diff is in ${event.diffFile}`) : null;
    box.style.removeProperty("min-height");
    box.replaceChildren(...[diffTable(event.diff, event.path, mode()), note].filter(Boolean));
  };
  observer ??= new IntersectionObserver((seen) => {
    for (const each of seen) {
      if (!each.isIntersecting) continue;
      observer.unobserve(each.target);
      each.target.build?.();
    }
  }, { rootMargin: "800px" });
  observer.observe(box);
  return box;
}

function answerForm(entry, answer) {
  const options = entry.event.options ?? [];
  const field = h("input", { name: "answer", "aria-label": `Answer to: ${entry.text}`, autocomplete: "off" });
  const give = (text) => text.trim() && answer(entry, text);
  return h("form", { class: "answer", onsubmit: (event) => { event.preventDefault(); give(field.value); } },
    options.map((option) => button(typeof option === "string" ? option : option.label, () => give(typeof option === "string" ? option : option.label))),
    field, h("button", { class: "primary" }, "Answer"));
}
