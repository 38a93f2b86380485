// Displays the diff of a file, inline or side by side, with colours of the syntax.
import { button, h, plural } from "./dom.js";
import { changedRange, parseDiff, sideBySide } from "./diff_model.js";
import { grammarOf, Tokenizer } from "./syntax.js";

const FOLD_ROWS = 60;
const SIGNS = { add: "+", del: "−", same: " " };
const SAID = { add: "added", del: "deleted", same: "" };

/** The table of a diff. */
export function diffTable(diff, path, mode) {
  const lines = parseDiff(diff);
  markChanges(lines);
  const colours = new Colours(grammarOf(path));
  const oneSided = !lines.some((line) => line.kind === "add") || !lines.some((line) => line.kind === "del");
  const layout = oneSided ? "inline" : mode;
  const rows = layout === "split" ? sideBySide(lines).map((pair) => splitRow(pair, colours)) : lines.map((line) => inlineRow(line, colours));
  const columns = layout === "split" ? ["number-column", "", "number-column", ""] : ["number-column", "number-column", "sign-column", ""];
  const table = h("table", { class: `diff ${layout}`, "aria-label": `changes of ${path}` },
    h("colgroup", {}, columns.map((name) => h("col", { class: name }))));
  const rest = rows.slice(FOLD_ROWS);
  table.append(h("tbody", {}, rows.slice(0, FOLD_ROWS).map((build) => build())));
  if (rest.length === 0) return table;
  const box = h("div", {}, table);
  box.append(button(`Show ${plural(rest.length, "more line")}`, (event) => {
    event.target.remove();
    table.append(h("tbody", {}, rest.map((build) => build())));
  }, { class: "more" }));
  return box;
}

/** Marks what differs in lines that were deleted and added in equal numbers. */
function markChanges(lines) {
  for (const [left, right] of sideBySide(lines)) {
    if (left?.kind !== "del" || right?.kind !== "add") continue;
    const range = changedRange(left.text, right.text);
    if (range) [left.changed, right.changed] = [[range[0], range[1]], [range[0], range[2]]];
  }
}

/** Tokens of the lines before and after the change. Rows are built in their order. */
class Colours {
  constructor(language) {
    this.before = new Tokenizer(language);
    this.after = new Tokenizer(language);
  }

  hunk() {
    this.before.restart();
    this.after.restart();
  }

  of(line) {
    if (line.kind === "del") return this.before.line(line.text);
    if (line.kind === "same") this.before.line(line.text);
    return this.after.line(line.text);
  }
}

const isHead = (line) => line?.kind === "head" || line?.kind === "hunk";

function headRow(line, colours) {
  if (line.kind === "hunk") colours.hunk();
  return h("tr", { class: line.kind }, h("td", { colspan: 4 }, line.text));
}

const inlineRow = (line, colours) => () => {
  if (isHead(line)) return headRow(line, colours);
  return h("tr", { class: line.kind }, number(line.old), number(line.new), sign(line), code(line, colours.of(line)));
};

const splitRow = ([left, right], colours) => () => {
  if (isHead(left)) return headRow(left, colours);
  const tokens = left && colours.of(left); // of both, where they are the same line
  return h("tr", {}, number(left?.old, left?.kind), code(left, tokens),
    number(right?.new, right?.kind), code(right, right && right !== left ? colours.of(right) : tokens));
};

const number = (value, kind = "") => h("td", { class: `number ${kind}` }, value ?? "");

const sign = (line) => h("td", { class: "sign", "aria-label": SAID[line.kind] }, SIGNS[line.kind]);

function code(line, tokens) {
  if (!line) return h("td", { class: "empty" });
  const [from, to] = line.changed ?? [0, 0];
  let at = 0;
  const pieces = tokens.flatMap(([kind, text]) => {
    const begin = at;
    at += text.length;
    // a token is cut where the changed part begins and ends
    const cuts = [0, Math.min(Math.max(from - begin, 0), text.length), Math.min(Math.max(to - begin, 0), text.length), text.length];
    return [0, 1, 2].map((index) => {
      const piece = text.slice(cuts[index], cuts[index + 1]);
      if (piece === "") return null;
      const name = `${kind ? `t-${kind}` : ""}${index === 1 && to > from ? " changed" : ""}`.trim();
      return name ? h("span", { class: name }, piece) : piece;
    });
  });
  return h("td", { class: `code ${line.kind}` }, pieces);
}
