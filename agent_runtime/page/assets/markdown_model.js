// Parses Markdown, as models write it, into plain objects. What is not understood stays text: nothing gets lost.
//
// Blocks: {type: "heading", level, text}, {type: "code", language, text}, {type: "quote", blocks}, {type: "rule"},
// {type: "list", start: number or null, items: [blocks]}, {type: "table", aligns, head: [text], rows: [[text]]},
// {type: "paragraph", text}. The texts of blocks are split by `inlines` into {type, text} or {type, children}.

const MOST_NESTED = 8;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`\s]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})(?:\s+(.*))?$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])( +|$)/;
const DELIMITERS = /^ *\|? *:?-+:? *(?:\| *:?-+:? *)*\|? *$/;

/** The blocks of a text. */
export function parseMarkdown(text) {
  return blocksOf(text.replace(/\r\n?/g, "\n").split("\n"), 0);
}

function blocksOf(lines, depth) {
  const found = [];
  let at = 0;
  while (at < lines.length) {
    if (lines[at].trim() === "") {
      at += 1;
      continue;
    }
    const [block, next] = blockAt(lines, at, depth) ?? paragraphAt(lines, at, depth);
    found.push(block);
    at = next;
  }
  return found;
}

/** The block that begins at a line, and the number of the line after it; null for a paragraph. */
function blockAt(lines, at, depth) {
  const line = lines[at];
  let match;
  if ((match = FENCE.exec(line))) return codeAt(lines, at, match);
  if ((match = HEADING.exec(line))) return [{ type: "heading", level: match[1].length, text: (match[2] ?? "").replace(/(^|\s)#+\s*$/, "").trim() }, at + 1];
  if (RULE.test(line)) return [{ type: "rule" }, at + 1];
  if (isTable(lines, at)) return tableAt(lines, at);
  if (depth >= MOST_NESTED) return null;
  if (QUOTE.test(line)) {
    let end = at;
    while (end < lines.length && QUOTE.test(lines[end])) end += 1;
    return [{ type: "quote", blocks: blocksOf(lines.slice(at, end).map((each) => each.replace(QUOTE, "")), depth + 1) }, end];
  }
  return ITEM.test(line) ? listAt(lines, at, depth) : null;
}

function codeAt(lines, at, [, fence, language]) {
  const indent = lines[at].search(/\S/);
  let end = at + 1;
  const closes = (line) => line.trim().length >= fence.length && line.trim() === fence[0].repeat(line.trim().length);
  while (end < lines.length && !closes(lines[end])) end += 1;
  const text = lines.slice(at + 1, end).map((line) => line.slice(Math.min(indent, line.length - line.trimStart().length))).join("\n");
  return [{ type: "code", language, text }, end + 1];
}

function listAt(lines, at, depth) {
  const [, , bullet] = ITEM.exec(lines[at]);
  const kind = bullet.at(-1);
  const items = [];
  let match;
  while (at < lines.length && (match = ITEM.exec(lines[at])) && match[2].at(-1) === kind && !RULE.test(lines[at])) {
    const width = match[1].length + match[2].length + (match[3].length > 4 ? 1 : match[3].length || 1);
    const own = [lines[at].slice(width)];
    for (at += 1; at < lines.length && belongs(lines, at, width); at += 1) own.push(lines[at].replace(new RegExp(`^ {0,${width}}`), ""));
    items.push(blocksOf(own, depth + 1));
    let next = at;
    while (next < lines.length && lines[next].trim() === "") next += 1;
    if (ITEM.test(lines[next] ?? "")) at = next;
  }
  return [{ type: "list", start: /\d/.test(bullet) ? parseInt(bullet, 10) : null, items }, at];
}

/** Whether a line belongs to an item whose content begins at this width. */
function belongs(lines, at, width) {
  const line = lines[at];
  if (line.trim() === "") return indentOf(lines.slice(at + 1).find((each) => each.trim() !== "") ?? "") >= width;
  if (indentOf(line) >= width) return true;
  return lines[at - 1].trim() !== "" && !begins(lines, at);
}

const indentOf = (line) => line.length - line.trimStart().length;

/** Whether a line ends the paragraph before it. */
function begins(lines, at) {
  const line = lines[at];
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line) || isTable(lines, at);
}

function paragraphAt(lines, at, depth) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() !== "" && (depth >= MOST_NESTED || !begins(lines, end))) end += 1;
  return [{ type: "paragraph", text: lines.slice(at, end).join("\n") }, end];
}

function isTable(lines, at) {
  const next = lines[at + 1] ?? "";
  return lines[at].includes("|") && next.includes("-") && DELIMITERS.test(next) && cells(next).length === cells(lines[at]).length;
}

function tableAt(lines, at) {
  const head = cells(lines[at]);
  const aligns = cells(lines[at + 1]).map((cell) => (cell.endsWith(":") ? (cell.startsWith(":") ? "center" : "right") : "left"));
  const rows = [];
  for (at += 2; at < lines.length && lines[at].includes("|"); at += 1) rows.push(cells(lines[at]));
  return [{ type: "table", aligns, head, rows }, at];
}

/** The cells of a row; a `|` after a backslash, or between backticks, is text. */
function cells(line) {
  const found = [""];
  for (const [part] of line.trim().replace(/^\|/, "").matchAll(/\\\||`[^`]*`|[^]/g)) {
    if (part === "|") found.push("");
    else found[found.length - 1] += part === "\\|" ? "|" : part;
  }
  if (found.length > 1 && found.at(-1).trim() === "") found.pop(); // the row ends with a `|`
  return found.map((cell) => cell.trim());
}

const LONGEST = 2000; // characters of an emphasis or a span of code: bounds the search for its end
const within = (mark, end) => `(?<![\\w${mark}])${end}(?=[^\\s${mark}])(?<NAME>[^]{0,${LONGEST}}?[^\\s])${end}(?![\\w${mark}])`;
const INLINE = new RegExp([
  String.raw`\\(?<escaped>[!-\/:-@[-\`{-~])`,
  `(?<fence>\`+)(?<code>[^\`]|[^\`][^]{0,${LONGEST}}?[^\`])\\k<fence>(?!\`)`,
  "(?<marks>`+)",
  String.raw`(?<image>!?)\[(?<label>(?:[^\[\]\\]|\\[^]|\[[^\[\]]{0,200}\]){0,500})\]\((?:<(?<quoted>[^<>\n]*)>|(?<address>[^\s()<]*(?:\([^\s()]*\)[^\s()]*)*))(?:\s+(?:"[^"\n]*"|'[^'\n]*'))?\s*\)`,
  String.raw`<(?<auto>https?:\/\/[^\s<>]+)>`,
  String.raw`(?<bare>\bhttps?:\/\/[^\s<>"\`|]*[^\s<>"\`|.,;:!?'*_~)\]}])`,
  String.raw`\*\*(?=\S)(?<strong>[^]{0,2000}?\S)\*\*(?!\*)`,
  within("_", "__").replace("NAME", "strong2"),
  within("*", String.raw`\*`).replace("NAME", "em"),
  within("_", "_").replace("NAME", "em2"),
  String.raw`~~(?=\S)(?<del>[^]{0,2000}?\S)~~`,
].join("|"), "g");

/** The pieces of the text of a block; their types: text, code, strong, em, del, link, image (the last two with `address`). */
export function inlines(text, depth = 0) {
  if (depth > MOST_NESTED) return [{ type: "text", text }];
  const found = [];
  const pattern = new RegExp(INLINE);
  let plain = "";
  let at = 0;
  const add = (piece) => {
    if (plain) found.push({ type: "text", text: plain });
    plain = "";
    found.push(piece);
  };
  for (let match; (match = pattern.exec(text)) !== null; ) {
    plain += text.slice(at, match.index);
    at = pattern.lastIndex;
    const groups = match.groups;
    if (groups.escaped !== undefined) plain += groups.escaped;
    else if (groups.marks !== undefined) plain += groups.marks;
    else add(piece(groups, depth));
  }
  plain += text.slice(at);
  if (plain) found.push({ type: "text", text: plain });
  return found;
}

function piece(groups, depth) {
  const { code, label, auto, bare } = groups;
  if (code !== undefined) return { type: "code", text: code.replace(/^ (.*[^ ].*) $/s, "$1") };
  const address = auto ?? bare;
  if (address !== undefined) return { type: "link", address, children: [{ type: "text", text: address }] };
  if (label !== undefined) {
    const target = groups.quoted ?? groups.address ?? "";
    if (groups.image) return { type: "image", address: target, text: label };
    return { type: "link", address: target, children: inlines(label, depth + 1) };
  }
  const type = groups.del !== undefined ? "del" : groups.em ?? groups.em2 ? "em" : "strong";
  return { type, children: inlines(groups.del ?? groups.em ?? groups.em2 ?? groups.strong ?? groups.strong2, depth + 1) };
}
