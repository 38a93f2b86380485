// Splits a line of source code into tokens for colouring. A line is looked at by itself: a string or comment that
// spans lines is coloured on its first line only.

const WORDS = {
  c: "abstract as async await auto bool break case catch char class const constexpr continue default defer delete do double else enum export extends extern false final finally float fn for from func function go goto if impl implements import in instanceof int interface internal let long loop match mod mut namespace new nil null operator override package private protected pub public readonly return self short signed sizeof static struct super switch template this throw throws trait true try type typedef typeof undefined union unsafe unsigned use using var virtual void volatile where while with yield",
  hash: "False None True and as assert async await begin break case class continue def del do done elif else elsif end ensure esac except export false fi finally for from function global if import in is lambda local match module nil nonlocal not null or pass print raise require rescue return self set then true try unless until when while with yield",
  sql: "add alter and as asc by case create cross default delete desc distinct drop else end exists foreign from full group having in index inner insert into is join key left like limit not null offset on or order outer primary references right select set table then union unique update values view when where with",
};
const STRINGS = String.raw`"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|` + "`(?:\\\\.|[^`\\\\])*`?";
const NUMBER = String.raw`\b(?:0[xob][\da-fA-F_]+|\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?)\b`;

const GRAMMARS = {
  c: grammar(String.raw`\/\/.*|\/\*.*?(?:\*\/|$)|^\s*\*\s.*`, WORDS.c),
  hash: grammar(String.raw`(?:^|(?<=\s))#.*`, WORDS.hash),
  sql: grammar(String.raw`--.*|\/\*.*?(?:\*\/|$)`, WORDS.sql, "gi"),
  css: grammar(String.raw`\/\*.*?(?:\*\/|$)`, "", "g", String.raw`[\w-]+(?=\s*:)|@[\w-]+`),
  data: grammar(String.raw`(?:^|(?<=\s))[#;].*`, "false null true", "g", String.raw`^\s*[\w.-]+(?=\s*[:=])|"(?:\\.|[^"\\])*"(?=\s*:)`),
  markup: grammar(String.raw`<!--.*?(?:-->|$)`, "", "g", String.raw`<\/?[\w:-]+|\/?>`),
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

function grammar(comment, words, flags = "g", names = "") {
  const keywords = words ? `\\b(?:${words.replaceAll(" ", "|")})\\b` : "(?!)";
  const source = `(?<comment>${comment})|(?<name>${names || "(?!)"})|(?<string>${STRINGS})|(?<number>${NUMBER})|(?<keyword>${keywords})`;
  return new RegExp(source, flags);
}

/** The grammar for a path; null when its language is not known. */
export function grammarOf(path) {
  const file = path.split("/").at(-1).toLowerCase();
  return BY_EXTENSION.get(file.split(".").at(-1)) ?? null;
}

/** The tokens of a line: [kind or "", text]; their texts add up to the line. */
export function tokenize(line, language) {
  if (!language || line.length > 2000) return [["", line]];
  const found = [];
  let end = 0;
  for (const match of line.matchAll(language)) {
    if (match[0] === "") continue;
    if (match.index > end) found.push(["", line.slice(end, match.index)]);
    const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
    found.push([kind, match[0]]);
    end = match.index + match[0].length;
  }
  if (end < line.length) found.push(["", line.slice(end)]);
  return found;
}
