// The state of a run, built from its events, one at a time. It does not use the document, so it also works in node.
import { addUsage, addSpan, sameTurn } from "./measures.js";

const MAX_TITLE = 300;

/** A step of the run as the page displays it. */
export class Entry {
  constructor(kind, event, fields = {}) {
    this.kind = kind; // reasoning, text, call, edit, server, question, plan, error, notice, control, answer
    this.key = event.seq;
    this.at = event.ts;
    this.turn = event.turn ?? 0;
    this.event = event;
    this.title = "";
    this.text = "";
    this.failed = false;
    this.running = false;
    Object.assign(this, fields);
  }

  /** Whether a text occurs in what the step displays. */
  matches(pattern) {
    return pattern.test(this.title) || pattern.test(this.text) || pattern.test(this.output ?? "") || pattern.test(this.tool ?? "");
  }
}

/** The state of a run. */
export class RunModel {
  constructor() {
    this.entries = [];
    this.start = null;
    this.complete = null;
    this.usages = [];
    this.spans = []; // of the timeline: {kind, from, to, label, entry, failed}, milliseconds since the epoch
    this.files = new Map(); // path -> {path, action, additions, deletions, entries}
    this.servers = new Map(); // port -> dev_url event
    this.tools = new Map(); // tool -> {calls, failed, milliseconds}
    this.turns = new Map(); // turn -> {model, tools}, milliseconds
    this.totals = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0, costUsd: 0, knownCost: true };
    this.waiting = null; // a heartbeat
    this.seq = -1;
    this.began = null;
    this.last = null; // time of the last event
    this.boundary = null; // when the model began its turn
    this.calls = new Map();
    this.drafts = new Map(); // texts that are still arriving
  }

  /** The title of the run: what was asked, if it is known. */
  get status() {
    return this.complete?.status ?? (this.start ? "running" : "starting");
  }

  get failures() {
    return this.entries.filter((entry) => entry.failed);
  }

  /** Takes the next event; returns the entries that are new or have changed. */
  apply(event) {
    this.seq = event.seq;
    const time = Date.parse(event.ts);
    this.began ??= time;
    this.last = time;
    if (event.type !== "heartbeat") this.waiting = null;
    const handler = HANDLERS[event.type];
    return handler ? (handler(this, event, time) ?? []) : [];
  }

  add(entry) {
    entry.turn ||= this.entries.at(-1)?.turn ?? 0;
    this.entries.push(entry);
    return [entry];
  }

  /** A control message, which is in transcripts but not in the events. */
  addControl(record) {
    const event = { seq: `control-${this.entries.length}`, ts: record.ts };
    const text = record.text ?? record.reason ?? "";
    return this.add(new Entry("control", event, { title: record.action, text }));
  }

  /** The entry of a text that is arriving, made with its first piece. */
  draft(key, kind, event, fields = {}) {
    const known = this.drafts.get(key);
    if (known) return known;
    const entry = new Entry(kind, event, { running: true, ...fields });
    this.drafts.set(key, entry);
    this.add(entry);
    return entry;
  }
}

const HANDLERS = {
  start(model, event, time) {
    model.start = event;
    model.boundary = time;
  },
  thinking(model, event) {
    const kind = event.kind === "reasoning" ? "reasoning" : "text";
    return finished(model, `${kind} ${event.turn}`, kind, event, { text: event.content });
  },
  text_delta: (model, event) => appended(model.draft(`text ${event.turn}`, "text", event), "text", event),
  thinking_delta: (model, event) => appended(model.draft(`reasoning ${event.turn}`, "reasoning", event), "text", event),
  tool_input_delta(model, event) {
    const entry = model.draft(`call ${event.id}`, "call", event, { tool: "…", title: "", output: "", arriving: true });
    return appended(entry, "title", event, MAX_TITLE);
  },
  tool_output_delta(model, event) {
    const entry = model.calls.get(event.id);
    return entry ? appended(entry, "output", event) : [];
  },
  tool_call(model, event) {
    const [title, body] = describeInput(event.input, model.start?.workspace);
    const fields = { tool: event.tool, title, text: body, output: "", running: true, arriving: false };
    const [entry] = finished(model, `call ${event.id}`, "call", event, fields);
    entry.running = true;
    model.calls.set(event.id, entry);
    return [entry];
  },
  tool_result(model, event, time) {
    const question = model.entries.findLast((each) => each.kind === "question" && each.event.id === event.id);
    if (question) question.running = false; // it was answered, perhaps elsewhere
    const known = model.calls.get(event.id);
    const entry = known ?? new Entry("call", event, { tool: event.tool });
    const failed = event.isError || (event.exitCode ?? 0) !== 0;
    Object.assign(entry, { output: event.output, result: event, running: false, failed });
    const total = model.tools.get(event.tool) ?? { calls: 0, failed: 0, milliseconds: 0 };
    total.calls += 1;
    total.failed += failed ? 1 : 0;
    total.milliseconds += event.durationMs ?? 0;
    model.tools.set(event.tool, total);
    sameTurn(model, entry.turn).tools += event.durationMs ?? 0;
    addSpan(model, failed ? "failed" : "tool", time - (event.durationMs ?? 0), time, entry.tool, entry);
    model.boundary = time;
    return [...(question ? [question] : []), ...(known ? [entry] : model.add(entry))];
  },
  file_edit(model, event) {
    const entry = new Entry("edit", event, { title: event.path, text: event.diff });
    const earlier = model.files.get(event.oldPath ?? event.path);
    if (event.oldPath) model.files.delete(event.oldPath);
    const action = earlier?.action === "create" && event.action === "modify" ? "create" : event.action;
    model.files.set(event.path, {
      path: event.path,
      action,
      additions: (earlier?.additions ?? 0) + event.additions,
      deletions: (earlier?.deletions ?? 0) + event.deletions,
      entries: [...(earlier?.entries ?? []), entry],
    });
    return model.add(entry);
  },
  dev_url(model, event) {
    model.servers.set(event.port, event);
    return model.add(new Entry("server", event, { title: event.status, text: event.url }));
  },
  question(model, event) {
    return model.add(new Entry("question", event, { title: "Question", text: event.text, running: true }));
  },
  plan(model, event) {
    return model.add(new Entry("plan", event, { title: "Plan", text: JSON.stringify(event.items ?? []) }));
  },
  usage(model, event, time) {
    addUsage(model, event, time);
  },
  error(model, event) {
    return model.add(new Entry("error", event, { title: event.code, text: event.message, failed: true }));
  },
  notice(model, event) {
    return model.add(new Entry("notice", event, { title: event.code, text: event.message }));
  },
  heartbeat(model, event) {
    model.waiting = event;
  },
  complete(model, event) {
    model.complete = event;
    const changed = model.entries.filter((entry) => entry.running);
    for (const entry of changed) entry.running = false;
    const last = model.entries.findLast((entry) => entry.kind === "text");
    if (!event.output || last?.text === event.output) return changed;
    return [...changed, ...model.add(new Entry("answer", event, { text: event.output }))];
  },
};

/** Completes the entry of a text that was arriving, or adds one. */
function finished(model, key, kind, event, fields) {
  const draft = model.drafts.get(key);
  model.drafts.delete(key);
  if (!draft) return model.add(new Entry(kind, event, fields));
  Object.assign(draft, fields, { event, running: false });
  return [draft];
}

function appended(entry, field, event, limit = Infinity) {
  const before = event.restart ? "" : entry[field];
  if (before.length < limit) entry[field] = before + event.delta;
  return [entry];
}

/** The input of a call as a title of one line, and as the rest, which may be empty. */
export function describeInput(input, workspace) {
  if (input === null || typeof input !== "object") return titled(String(input ?? ""));
  const main = ["command", "cmd", "patch", "input", "path", "pattern", "query", "question"].find((name) => typeof input[name] === "string");
  if (main === undefined) {
    const line = JSON.stringify(input);
    return line.length <= MAX_TITLE ? [line, ""] : [line.slice(0, MAX_TITLE), JSON.stringify(input, null, 2)];
  }
  const rest = Object.fromEntries(Object.entries(input).filter(([name]) => name !== main));
  let text = input[main];
  if (main === "command" && typeof rest.path === "string") {
    text = `${text} ${rest.path}`; // view, create, insert ... of an editor
    delete rest.path;
  }
  if (workspace) text = text.replaceAll(`${workspace}/`, "");
  const [title, body] = titled(text);
  return [title, [body, ...Object.entries(rest).map(([name, value]) => named(name, value))].filter(Boolean).join("\n")];
}

function named(name, value) {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.includes("\n") ? `${name}:\n${text}` : `${name}: ${text}`;
}

function titled(text) {
  const trimmed = text.trim();
  if (!trimmed.includes("\n") && trimmed.length <= MAX_TITLE) return [trimmed, ""];
  return [trimmed.split("\n", 1)[0].slice(0, MAX_TITLE), text];
}
