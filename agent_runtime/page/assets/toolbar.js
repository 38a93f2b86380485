// Search and filters over the steps of a run, and the jump to the next failure.
import { button, h, plural } from "./dom.js";

const KINDS = [["", "All steps"], ["call", "Calls"], ["failed", "Failures"], ["edit", "Files"], ["said", "Texts"], ["reasoning", "Thinking"]];
const SPOKEN = ["text", "answer", "question", "control"];

/** The toolbar of a RunView. */
export class Toolbar {
  constructor(view) {
    this.view = view;
    this.tools = new Set();
    this.files = new Set();
    const changed = () => this.filter();
    let timer;
    this.search = h("input", { type: "search", placeholder: "Search", title: "Keys: / search, j and k next and previous step, n next failure", "aria-label": "Search the steps", oninput: () => {
      clearTimeout(timer);
      timer = setTimeout(changed, 150);
    } });
    this.kind = h("select", { "aria-label": "Kind of step", onchange: changed }, KINDS.map(([value, label]) => h("option", { value }, label)));
    this.tool = h("select", { "aria-label": "Tool", onchange: changed }, h("option", { value: "" }, "All tools"));
    this.file = h("select", { "aria-label": "File", onchange: changed }, h("option", { value: "" }, "All files"));
    this.found = h("span", { class: "soft", role: "status" });
    this.failure = button("Next failure", () => this.nextFailure(), { title: "Key: n" });
    this.layout = button("", () => this.switchMode());
    this.element = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Filter the steps" },
      this.search, this.kind, this.tool, this.file, this.found, h("span", { class: "space" }), this.failure, this.layout);
    this.labelMode();
  }

  labelMode() {
    this.layout.textContent = this.view.mode === "split" ? "Inline diffs" : "Side by side";
  }

  switchMode() {
    this.view.setMode(this.view.mode === "split" ? "inline" : "split");
    this.labelMode();
  }

  refresh() {
    const { model } = this.view;
    offer(this.tool, this.tools, model.tools.keys());
    offer(this.file, this.files, model.files.keys());
    const failures = model.failures.length;
    this.failure.disabled = failures === 0;
    this.failure.textContent = failures > 0 ? `Next failure (${failures})` : "No failures";
  }

  reset() {
    this.search.value = this.kind.value = this.tool.value = this.file.value = "";
    this.filter();
  }

  filter() {
    const text = this.search.value.trim();
    this.pattern = text ? new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i") : null;
    let matching = 0;
    for (const [entry, view] of this.view.views) matching += this.check(entry, view.element) ? 1 : 0;
    const active = this.isActive();
    this.view.steps.classList.toggle("filtered", active);
    this.found.textContent = active ? plural(matching, "step") : "";
    highlight(this.view.steps, text);
  }

  isActive() {
    return Boolean(this.pattern || this.kind.value || this.tool.value || this.file.value);
  }

  /** Hides the step if the filter excludes it; returns whether it is displayed. */
  check(entry, element) {
    const kind = this.kind.value;
    const isKind = !kind || entry.kind === kind || (kind === "failed" && entry.failed) || (kind === "said" && SPOKEN.includes(entry.kind));
    const isTool = !this.tool.value || entry.tool === this.tool.value;
    const isFile = !this.file.value || (entry.kind === "edit" && entry.event.path === this.file.value);
    const visible = isKind && isTool && isFile && (!this.pattern || entry.matches(this.pattern));
    element.hidden = !visible;
    return visible;
  }

  nextFailure() {
    const failures = this.view.model.failures;
    if (failures.length === 0) return;
    const at = failures.indexOf(this.lastFailure);
    this.lastFailure = failures[(at + 1) % failures.length];
    this.view.jump(this.lastFailure);
  }
}

const MAX_HIGHLIGHTS = 1000;

/** Marks where a text occurs in the visible steps, where the browser can. */
function highlight(element, text) {
  if (!globalThis.CSS?.highlights) return;
  CSS.highlights.delete("search");
  if (text.length < 2) return;
  const ranges = [];
  const wanted = text.toLowerCase();
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  while (walker.nextNode() && ranges.length < MAX_HIGHLIGHTS) {
    const node = walker.currentNode;
    if (node.parentElement.closest("[hidden]")) continue;
    const content = node.data.toLowerCase();
    for (let at = content.indexOf(wanted); at >= 0 && ranges.length < MAX_HIGHLIGHTS; at = content.indexOf(wanted, at + wanted.length)) {
      if (at + wanted.length > node.length) break; // some letters have another length in lower case
      const range = document.createRange();
      range.setStart(node, at);
      range.setEnd(node, at + wanted.length);
      ranges.push(range);
    }
  }
  if (ranges.length > 0) CSS.highlights.set("search", new Highlight(...ranges));
}

function offer(select, known, names) {
  for (const name of names) {
    if (known.has(name)) continue;
    known.add(name);
    select.append(h("option", { value: name }, name.length > 40 ? `…${name.slice(-39)}` : name));
  }
}
