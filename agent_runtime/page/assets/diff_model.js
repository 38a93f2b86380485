// Parses the unified diff of a `file_edit`, and pairs its lines for a display side by side. Does not use the document.

/** The lines of a diff: {kind: head | hunk | add | del | same, text, old, new}; a diff that was cut is parsed up to there. */
export function parseDiff(diff) {
  const found = [];
  let [before, after, left, right] = [0, 0, 0, 0]; // next numbers, and how many lines the hunk still has
  const lines = diff.split("\n");
  if (lines.at(-1) === "") lines.pop();
  for (const line of lines) {
    const hunk = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/.exec(line);
    if (left <= 0 && right <= 0 && hunk) {
      [before, left, after, right] = [+hunk[1], +(hunk[2] ?? 1), +hunk[3], +(hunk[4] ?? 1)];
      found.push({ kind: "hunk", text: line });
    } else if (line.startsWith("\\")) {
      found.push({ kind: "head", text: line });
    } else if (left <= 0 && right <= 0) {
      if (!/^(diff --git |--- |\+\+\+ |index )/.test(line)) found.push({ kind: "head", text: line });
    } else if (line.startsWith("+")) {
      found.push({ kind: "add", text: line.slice(1), new: after++ });
      right -= 1;
    } else if (line.startsWith("-")) {
      found.push({ kind: "del", text: line.slice(1), old: before++ });
      left -= 1;
    } else {
      found.push({ kind: "same", text: line.slice(1), old: before++, new: after++ });
      left -= 1;
      right -= 1;
    }
  }
  return found;
}

/** Rows of [left, right] for a display side by side; deleted lines stand beside those that were added for them. */
export function sideBySide(lines) {
  const rows = [];
  for (let at = 0; at < lines.length; ) {
    const line = lines[at];
    if (line.kind !== "del" && line.kind !== "add") {
      rows.push([line, line]);
      at += 1;
      continue;
    }
    const [deleted, added] = [[], []];
    while (lines[at]?.kind === "del") deleted.push(lines[at++]);
    while (lines[at]?.kind === "add") added.push(lines[at++]);
    for (let row = 0; row < Math.max(deleted.length, added.length); row += 1) {
      rows.push([deleted[row] ?? null, added[row] ?? null]);
    }
  }
  return rows;
}

/** Where two lines differ, as [start, end of the first, end of the second]; null when they have little in common. */
export function changedRange(first, second) {
  const shorter = Math.min(first.length, second.length);
  let start = 0;
  while (start < shorter && first[start] === second[start]) start += 1;
  let end = 0;
  while (end < shorter - start && first.at(-1 - end) === second.at(-1 - end)) end += 1;
  if (start + end < 0.3 * Math.max(first.length, second.length)) return null;
  return [start, first.length - end, second.length - end];
}
