// Displays Markdown. Every text is inserted as text; links lead only to addresses of the web, images are not loaded.
import { h, link } from "./dom.js";
import { inlines, parseMarkdown } from "./markdown_model.js";
import { grammarOf, Tokenizer } from "./syntax.js";

const LANGUAGES = {
  bash: "sh", console: "sh", golang: "go", javascript: "js", "objective-c": "c", python: "py", python3: "py", ruby: "rb",
  rust: "rs", shell: "sh", typescript: "ts", "c++": "cpp", "c#": "cs", kotlin: "kt", "": "txt",
};

/** An element with a text in Markdown. */
export function markdown(text) {
  return h("div", { class: "prose markdown" }, parseMarkdown(text).map(blockElement));
}

function blockElement(block) {
  const { type } = block;
  if (type === "heading") return h(`h${Math.min(6, block.level + 2)}`, {}, spans(block.text));
  if (type === "code") return codeElement(block);
  if (type === "quote") return h("blockquote", {}, block.blocks.map(blockElement));
  if (type === "rule") return h("hr");
  if (type === "list") return h(block.start === null ? "ul" : "ol", { start: block.start }, block.items.map(itemElement));
  if (type === "table") return tableElement(block);
  return h("p", {}, spans(block.text));
}

/** An item; its text is not a paragraph of its own where it is all that there is, or only lists follow. */
function itemElement(blocks) {
  const [first, ...rest] = blocks;
  const isTight = first?.type === "paragraph" && rest.every((block) => block.type === "list");
  return h("li", {}, isTight ? [spans(first.text), rest.map(blockElement)] : blocks.map(blockElement));
}

function codeElement({ language, text }) {
  const name = language.toLowerCase();
  const tokenizer = new Tokenizer(grammarOf(`x.${LANGUAGES[name] ?? name}`));
  const lines = text.split("\n").map((line, index) => [
    index > 0 && "\n",
    tokenizer.line(line).map(([kind, part]) => (kind ? h("span", { class: `t-${kind}` }, part) : part)),
  ]);
  return h("pre", { class: "code-block", tabindex: 0, role: "region", "aria-label": language ? `code in ${language}` : "code" }, h("code", {}, lines));
}

function tableElement({ aligns, head, rows }) {
  const width = Math.max(...[head, ...rows].map((cells) => cells.length)); // of a table whose rows differ
  const columns = Array.from({ length: width }, (_, index) => aligns[index] ?? "left");
  const row = (cells, tag) => h("tr", {}, columns.map((align, index) => h(tag, { class: align }, spans(cells[index] ?? ""))));
  return h("div", { class: "table-box", tabindex: 0, role: "region", "aria-label": "table" },
    h("table", {}, h("thead", {}, row(head, "th")), h("tbody", {}, rows.map((cells) => row(cells, "td")))));
}

const spans = (text) => inlines(text).map(spanElement);

function spanElement(piece) {
  const { type } = piece;
  if (type === "text") return piece.text;
  if (type === "code") return h("code", {}, piece.text);
  if (type === "image") return link(piece.address, `image: ${piece.text || piece.address}`);
  const children = piece.children.map(spanElement);
  return type === "link" ? linkElement(piece.address, children) : h(type, {}, children);
}

/** A link; the address of one that leads elsewhere, such as a path, is displayed as its title. */
function linkElement(address, children) {
  const element = link(address, children);
  if (element.tagName === "SPAN") element.title = address;
  return element;
}
