// Splits lines of source code into tokens for colouring. A comment or a string that a line leaves open goes on in the
// next one.

const WORDS = {
  c: "abstract as async await auto bool break case catch char class const constexpr continue default defer delete do double else enum export extends extern false final finally float fn for from func function go goto if impl implements import in instanceof int interface internal let long loop match mod mut namespace new nil null operator override package private protected pub public readonly return self short signed sizeof static struct super switch template this throw throws trait true try type typedef typeof undefined union unsafe unsigned use using var virtual void volatile where while with yield",
  hash: "False None True and as assert async await begin break case class continue def del do done elif else elsif end ensure esac except export false fi finally for from function global if import in is lambda local match module nil nonlocal not null or pass print raise require rescue return self set then true try unless until when while with yield",
  sql: "add alter and as asc by case create cross default delete desc distinct drop else end exists foreign from full group having in index inner insert into is join key left like limit not null offset on or order outer primary references right select set table then union unique update values view when where with",
};
const STRINGS = String.raw`"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|` + "`(?:\\\\.|[^`\\\\])*`?";
const TRIPLE = String.raw`"""(?:\\.|[^\\])*?(?:"""|$)|'''(?:\\.|[^\\])*?(?:'''|$)|`;
const NUMBER = String.raw`\b(?:0[xob][\da-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\b`;

const GRAMMARS = {
  c: grammar(String.raw`\/\/.*|\/\*.*?(?:\*\/|$)|^\s*\*\s.*`, WORDS.c, { blocks: [["/*", "*/", "comment"], ["`", "`", "string"]] }),
  hash: grammar(String.raw`(?:^|(?<=\s))#.*`, WORDS.hash, { strings: TRIPLE + STRINGS, blocks: [['"""', '"""', "string"], ["'''", "'''", "string"]] }),
  sql: grammar(String.raw`--.*|\/\*.*?(?:\*\/|$)`, WORDS.sql, { flags: "gi", blocks: [["/*", "*/", "comment"]] }),
  css: grammar(String.raw`\/\*.*?(?:\*\/|$)`, "", { names: String.raw`[\w-]+(?=\s*:)|@[\w-]+`, blocks: [["/*", "*/", "comment"]] }),
  data: grammar(String.raw`(?:^|(?<=\s))[#;].*`, "false null true", { names: String.raw`^\s*[\w.-]+(?=\s*[:=])|"(?:\\.|[^"\\])*"(?=\s*:)` }),
  markup: grammar(String.raw`<!--.*?(?:-->|$)`, "", { names: String.raw`<\/?[\w:-]+|\/?>`, blocks: [["<!--", "-->", "comment"]] }),
};
const EXTENSIONS = {
  c: "c cc cpp cs cxx dart go h hpp java js jsx kt m mjs cjs php rs scala swift ts tsx vue svelte zig",
  hash: "bash dockerfile ex exs makefile pl ps1 py pyi r rb sh zsh",
  sql: "sql",
  css: "css less scss",
  data: "cfg conf env ini json jsonc toml yaml yml",
  markup: "htm html svg xhtml xml",
};
const BY_EXTENSION = new Map(
  Object.entries(EXTENSIONS).flatMap(([group, names]) => names.split(" ").map((name) => [name, GRAMMARS[group]])),
);

/** `blocks`: constructs that may span lines, as [opening, closing, kind]. */
function grammar(comment, words, { flags = "g", names = "", strings = STRINGS, blocks = [] } = {}) {
  const keywords = words ? `\\b(?:${words.replaceAll(" ", "|")})\\b` : "(?!)";
  const source = `(?<comment>${comment})|(?<name>${names || "(?!)"})|(?<string>${strings})|(?<number>${NUMBER})|(?<keyword>${keywords})`;
  return { pattern: new RegExp(source, flags), blocks };
}

/** The grammar for a path; null when its language is not known. */
export function grammarOf(path) {
  const file = path.split("/").at(-1).toLowerCase();
  return BY_EXTENSION.get(file.split(".").at(-1)) ?? null;
}

/** The tokens of a line: [kind or "", text]; their texts add up to the line. */
export const tokenize = (line, language) => new Tokenizer(language).line(line);

/** Splits the lines of a text, one after the other. */
export class Tokenizer {
  constructor(language) {
    this.language = language;
    this.open = null; // the block that goes on
  }

  /** Notes that the lines before the next one are not known. */
  restart() {
    this.open = null;
  }

  line(line) {
    if (!this.language || line.length > 2000) return [["", line]];
    const found = [];
    let end = this.open ? closing(line, this.open, 0) : 0;
    if (this.open && end < 0) return [[this.open[2], line]];
    if (this.open) found.push([this.open[2], line.slice(0, end)]);
    this.open = null;
    this.language.pattern.lastIndex = end;
    for (let match; (match = this.language.pattern.exec(line)) !== null; ) {
      const [text] = match;
      if (text === "") {
        this.language.pattern.lastIndex += 1;
        continue;
      }
      if (match.index > end) found.push(["", line.slice(end, match.index)]);
      const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
      found.push([kind, text]);
      end = match.index + text.length;
      if (end === line.length) {
        const block = this.language.blocks.find(([opening]) => text.startsWith(opening));
        if (block && closing(text, block, block[0].length) < 0) this.open = block;
      }
    }
    if (end < line.length) found.push(["", line.slice(end)]);
    return found;
  }
}

/** The offset after the end of a block that is open; -1 when the line does not end it. */
function closing(line, [, mark, kind], from) {
  for (let at = from; at < line.length; at += 1) {
    if (kind === "string" && line[at] === "\\") at += 1;
    else if (line.startsWith(mark, at)) return at + mark.length;
  }
  return -1;
}
