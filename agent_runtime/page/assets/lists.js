// The lists of runs and threads, and the page of a thread.
import { button, copyButton, count, day, duration, h } from "./dom.js";
import { client, curlLine, failure, withKey } from "./session.js";
import { describeInput } from "./model.js";
import { longText } from "./text.js";

const PAGE = 100;
const STATUSES = ["", "running", "completed", "failed", "cancelled", "waiting"];

/** The runs, searched and filtered; two of them can be compared. */
export function runList({ limit = PAGE, compact = false } = {}) {
  const chosen = new Set();
  const rows = [];
  let cursor;
  const body = h("tbody");
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search the runs", oninput: () => show() });
  const status = h("select", { "aria-label": "Status", onchange: () => reload() }, STATUSES.map((each) => h("option", { value: each }, each || "any status")));
  const compare = button("Compare", () => (location.hash = `#/compare/${[...chosen].map(encodeURIComponent).join("/")}`), { disabled: true, title: "Choose two runs" });
  const more = button("More", () => load(), { class: "more", hidden: true });
  const note = h("div");
  const row = (run) => h("tr", {},
    !compact && h("td", {}, h("input", { type: "checkbox", "aria-label": `Compare ${run.runId}`, onchange: (event) => {
      if (event.target.checked) chosen.add(run.runId);
      else chosen.delete(run.runId);
      compare.disabled = chosen.size !== 2;
    } })),
    h("td", {}, h("span", { class: `status ${run.status}` }, run.status)),
    h("td", { class: "wide" }, h("a", { href: `#/runs/${encodeURIComponent(run.runId)}` }, run.prompt || run.runId)),
    h("td", { class: "soft" }, day(run.createdAt)),
    !compact && [h("td", { class: "soft optional" }, run.model ?? ""), h("td", { class: "soft optional" }, run.durationMs ? duration(run.durationMs) : ""), h("td", { class: "soft optional" }, run.totalTokens ? `${count(run.totalTokens)} tokens` : "")]);
  const show = () => {
    const text = search.value.trim().toLowerCase();
    const found = rows.filter((run) => !text || `${run.prompt ?? ""} ${run.runId} ${run.agent} ${run.model ?? ""} ${run.threadId}`.toLowerCase().includes(text));
    body.replaceChildren(...found.map(row));
    note.replaceChildren(...(found.length === 0 ? [h("p", { class: "soft" }, rows.length === 0 ? "There are no runs." : "No run matches.")] : []));
  };
  const load = async () => {
    try {
      const page = await withKey(() => client.listRuns({ limit, cursor, status: status.value }));
      rows.push(...page.data);
      cursor = page.meta.nextCursor ?? undefined;
      more.hidden = compact || !cursor;
      show();
    } catch (error) {
      note.replaceChildren(failure(error));
    }
  };
  const reload = () => {
    rows.length = 0;
    cursor = undefined;
    load();
  };
  load();
  return h("section", { "aria-label": "Runs" }, h("h2", {}, compact ? "Latest runs" : "Runs"),
    !compact && h("div", { class: "toolbar" }, search, status, compare, h("span", { class: "space" }),
      copyButton("Copy as curl", () => curlLine("GET", `/v1/runs?limit=${limit}${status.value ? `&status=${status.value}` : ""}`))),
    h("table", { class: "list" }, body), note, more);
}

/** The threads, searched; each can be opened, copied and deleted. */
export function threadList() {
  const body = h("tbody");
  const note = h("div");
  const rows = [];
  const search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search the threads", oninput: () => show() });
  const act = async (work) => {
    try {
      await withKey(work);
      rows.length = 0;
      await load();
    } catch (error) {
      note.replaceChildren(failure(error));
    }
  };
  const row = (thread) => h("tr", {},
    h("td", { class: "wide" }, h("a", { href: `#/threads/${encodeURIComponent(thread.id)}` }, thread.id)),
    h("td", { class: "soft optional" }, thread.agent ?? ""), h("td", { class: "soft" }, `${count(thread.messageCount)} messages`), h("td", { class: "soft optional" }, day(thread.updatedAt)),
    h("td", {}, button("Copy", () => act(() => client.forkThread(thread.id)), { class: "small", "aria-label": `Copy ${thread.id}` }), " ",
      button("Delete", () => confirm(`Delete ${thread.id}?`) && act(() => client.deleteThread(thread.id)), { class: "small danger", "aria-label": `Delete ${thread.id}` })));
  const show = () => {
    const text = search.value.trim().toLowerCase();
    const found = rows.filter((thread) => !text || `${thread.id} ${thread.agent ?? ""}`.toLowerCase().includes(text));
    body.replaceChildren(...found.map(row));
    note.replaceChildren(...(found.length === 0 ? [h("p", { class: "soft" }, "There are no threads.")] : []));
  };
  const load = async () => {
    let cursor;
    do {
      const page = await client.listThreads({ limit: PAGE, cursor });
      rows.push(...page.data);
      cursor = page.meta.nextCursor ?? undefined;
    } while (cursor && rows.length < 1000);
    show();
  };
  withKey(load).catch((error) => note.replaceChildren(failure(error)));
  return h("section", { "aria-label": "Threads" }, h("h2", {}, "Threads"),
    h("div", { class: "toolbar" }, search, h("span", { class: "space" }), copyButton("Copy as curl", () => curlLine("GET", `/v1/run/threads?limit=${PAGE}`))),
    h("table", { class: "list" }, body), note);
}

/** A thread: its messages, its runs, and a form to continue it. */
export function threadPage(id, form) {
  const element = h("section", {}, h("p", { class: "soft" }, "Loading"));
  withKey(() => client.getThread(id)).then((thread) => {
    const messages = thread.messages.map((message) => h("div", { class: `message ${message.role}` },
      h("span", { class: "kind" }, message.role), longText((message.blocks ?? []).map(blockText).join("\n"), `message of ${message.role}`, "input")));
    const runs = thread.runs.map((run) => h("li", {}, h("a", { href: `#/runs/${encodeURIComponent(run)}` }, run)));
    element.replaceChildren(h("h2", {}, id), h("p", { class: "soft" }, `${day(thread.updatedAt)} · ${count(thread.messageCount)} messages`),
      runs.length > 0 ? h("ul", {}, runs) : "", ...messages, form);
  }).catch((error) => element.replaceChildren(failure(error)));
  return element;
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function blockText(block) {
  if (block.type === "text" || block.type === "thinking") return block.text ?? "";
  if (block.type === "tool_call") return `${block.name} ${describeInput(parsed(block.arguments)).filter(Boolean).join("\n")}`;
  if (block.type === "tool_result") return (block.content ?? []).map(blockText).join("\n");
  return `[${block.type}]`;
}
