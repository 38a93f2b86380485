// The panels beside the steps: files, servers, limits, charts, times, and what the model was sent.
import { button, clock, count, duration, folded, h, isWebAddress, link, money, picture, plural } from "./dom.js";
import { limitRows } from "./measures.js";
import { longText } from "./text.js";

/** The changed files as a tree; a click goes to the last change of a file. */
export function fileTree(model, jump) {
  if (model.files.size === 0) return [h("p", { class: "soft" }, "No file was changed.")];
  const workspace = `${model.start?.workspace ?? ""}/`;
  const root = new Map();
  for (const file of [...model.files.values()].sort((a, b) => (a.path < b.path ? -1 : 1))) {
    const inside = workspace.length > 1 && file.path.startsWith(workspace);
    const names = (inside ? file.path.slice(workspace.length) : file.path).split("/").filter(Boolean);
    let folder = root;
    for (const name of names.slice(0, -1)) {
      if (!(folder.get(name) instanceof Map)) folder.set(name, new Map());
      folder = folder.get(name);
    }
    folder.set(names.at(-1), file);
  }
  return [treeList(root, jump)];
}

function treeList(folder, jump) {
  const rows = [...folder].map(([name, value]) => {
    if (!(value instanceof Map)) {
      const title = [h("span", { class: `file ${value.action}` }, name), h("span", { class: "added" }, `+${value.additions}`), h("span", { class: "deleted" }, `−${value.deletions}`)];
      const label = `${name}, ${value.action}, ${value.additions} lines added, ${value.deletions} deleted`;
      return h("li", {}, button(title, () => jump(value.entries.at(-1)), { class: "file-row", "aria-label": label }));
    }
    // folders with one folder only are one row
    let [path, inner] = [name, value];
    while (inner.size === 1 && [...inner.values()][0] instanceof Map) {
      path += `/${[...inner.keys()][0]}`;
      inner = [...inner.values()][0];
    }
    return h("li", {}, h("span", { class: "folder" }, `${path}/`), treeList(inner, jump));
  });
  return h("ul", { class: "tree" }, rows);
}

/** The development servers, each with a button that embeds it. */
export function serverPanel(model, embedded) {
  const rows = [...model.servers.values()].map((server) => h("li", {},
    h("span", { class: `dot ${server.status}`, role: "img", "aria-label": server.status === "up" ? "listening" : "ended" }),
    link(server.url),
    server.status === "up" && canEmbed(server.url) && button("Embed", () => embed(server.url, embedded), { class: "small" })));
  return rows.length > 0 ? [h("ul", { class: "servers" }, rows)] : [h("p", { class: "soft" }, "No server was started.")];
}

function canEmbed(address) {
  // in the page's own origin the embedded page could act as this page
  return location.protocol.startsWith("http") && isWebAddress(address) && new URL(address).origin !== location.origin;
}

function embed(address, target) {
  const preview = h("iframe", {
    src: address, title: `server at ${address}`, sandbox: "allow-scripts allow-forms allow-same-origin", referrerpolicy: "no-referrer",
  });
  target.replaceChildren(h("div", { class: "embed-bar" }, link(address), button("Reload", () => (preview.src = address), { class: "small" }), button("Close", () => target.replaceChildren(), { class: "small" })), preview);
}

/** The limits of the run, as bars. */
export function limitBars(model, now) {
  const rows = limitRows(model, now);
  if (rows.length === 0) return [h("p", { class: "soft" }, "The run has no limits.")];
  return rows.map((row) => h("div", { class: "limit" },
    h("span", {}, row.name), h("span", { class: "soft" }, row.text),
    h("meter", { value: row.share, min: 0, max: 1, low: 0.75, high: 0.9, optimum: 0, "aria-label": `${row.name}: ${row.text}` })));
}

/** The time per tool, and per turn. */
export function timeTables(model) {
  if (model.turns.size === 0) return [h("p", { class: "soft" }, "Nothing has ended yet.")];
  const tools = [...model.tools].sort(([, a], [, b]) => b.milliseconds - a.milliseconds);
  const header = (...names) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name))));
  const row = (...cells) => h("tr", {}, cells.map((cell) => h("td", {}, cell)));
  return [
    tools.length > 0 && h("table", { class: "figures" }, h("caption", {}, "By tool"), header("Tool", "Calls", "Failed", "Time"),
      h("tbody", {}, tools.map(([name, total]) => row(name, total.calls, total.failed || "", duration(total.milliseconds))))),
    folded("By turn", () => h("table", { class: "figures" }, header("Turn", "Model", "Tools"),
      h("tbody", {}, [...model.turns].map(([turn, times]) => row(turn, duration(times.model), duration(times.tools)))))),
  ].filter(Boolean);
}

/** The messages of the request with their images, and the prompt and tools that the model was sent. */
export function promptPanel(data) {
  const message = (each) => h("div", { class: `message ${each.role}` }, h("span", { class: "kind" }, each.role), longText(each.text, `message of ${each.role}`, "input"), each.images.map((address) => picture(address, "image of the request")));
  const earlier = data.messages.filter((each) => each.earlier);
  const present = data.messages.filter((each) => !each.earlier);
  return [
    earlier.length > 0 && folded(`${plural(earlier.length, "earlier message")} of the thread`, () => earlier.map(message)),
    present.map(message),
    data.prompts.map((prompt) => [
      prompt.system !== null && folded(`System prompt of model call ${prompt.call}`, () => longText(prompt.system, "system prompt", "input")),
      prompt.tools !== null && folded(`${plural(prompt.tools.length, "tool")} of model call ${prompt.call}`, () => prompt.tools.map((tool) =>
        folded(tool.name, () => longText(`${tool.description ?? ""}\n${JSON.stringify(tool.parameters ?? {}, null, 2)}`, `tool ${tool.name}`, "input")))),
    ]),
  ].flat(Infinity).filter(Boolean);
}

/** The head of a run in figures: [name, value]. */
export function summaryRows(model) {
  const { start, complete, totals } = model;
  const input = complete?.usage?.inputTokens ?? totals.inputTokens;
  const output = complete?.usage?.outputTokens ?? totals.outputTokens;
  const cost = complete?.usage?.costUsd ?? (totals.knownCost && model.usages.length > 0 ? totals.costUsd : null);
  return [
    ["Model", start ? `${start.provider}:${start.model}` : "?"],
    ["Agent", start?.agent ?? "?"],
    ["Began", clock(model.start?.ts)],
    ["Duration", complete ? duration(complete.durationMs) : null],
    ["Model calls", count(complete?.iterations ?? model.usages.length)],
    ["Tool calls", count([...model.tools.values()].reduce((sum, each) => sum + each.calls, 0))],
    ["Tokens", `${count(input)} in, ${count(output)} out`],
    ["Cost", cost === null ? null : money(cost)],
    ["Files", count(model.files.size)],
  ].filter(([, value]) => value !== null && value !== "");
}
