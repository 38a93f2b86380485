// Displays texts of any length: long ones are folded, and laid out only where they are visible.
import { button, h, plural, size } from "./dom.js";

const FOLD_LINES = 40; // longer texts are folded to their head and tail
const END_LINES = 15;
const FOLD_LENGTH = 16_000; // characters
const CHUNK_LINES = 400;
const CHUNK_LENGTH = 40_000;
const LIVE_LENGTH = 8_000; // of a text that is still arriving: its end

/** An element with a text; `label` names it for screen readers. */
export function longText(text, label, name = "output") {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  const box = h("div", { class: name, tabindex: 0, role: "region", "aria-label": label });
  if (lines.length <= FOLD_LINES && text.length <= FOLD_LENGTH) {
    box.append(h("pre", {}, lines.join("\n")));
    return box;
  }
  const [head, tail] = [lines.slice(0, END_LINES).join("\n"), lines.slice(-END_LINES).join("\n")];
  const half = FOLD_LENGTH / 2;
  const isOneLine = lines.length <= 2 * END_LINES;
  const rest = isOneLine ? size(text.length - 2 * half) : plural(lines.length - 2 * END_LINES, "line");
  const show = button(`Show ${rest} more (${size(text.length)} in all)`, () => {
    box.replaceChildren(...chunks(lines).map(chunk));
    box.classList.add("whole");
    box.focus();
  }, { class: "more" });
  box.append(
    h("pre", {}, isOneLine ? text.slice(0, half) : head.slice(0, half)),
    show,
    h("pre", {}, isOneLine ? text.slice(-half) : tail.slice(-half)),
  );
  return box;
}

/** The lines, in pieces that the browser can lay out separately. */
export function chunks(lines) {
  const found = [];
  let piece = [];
  let length = 0;
  for (const line of lines) {
    for (let at = 0; at === 0 || at < line.length; at += CHUNK_LENGTH) {
      const part = line.slice(at, at + CHUNK_LENGTH);
      if (piece.length >= CHUNK_LINES || length + part.length > CHUNK_LENGTH) {
        if (piece.length > 0) found.push(piece);
        [piece, length] = [[], 0];
      }
      piece.push(part);
      length += part.length;
    }
  }
  if (piece.length > 0) found.push(piece);
  return found;
}

function chunk(lines) {
  const height = `auto ${(lines.length * 1.45).toFixed(1)}em`;
  return h("pre", { class: "chunk", style: { "contain-intrinsic-block-size": height } }, lines.join("\n"));
}

/** The end of a text that is still arriving. */
export function liveText(text, label, name = "output") {
  const visible = text.length > LIVE_LENGTH ? text.slice(text.indexOf("\n", text.length - LIVE_LENGTH) + 1) : text;
  const box = h("div", { class: `${name} live`, role: "region", "aria-label": label, "aria-busy": "true" }, h("pre", {}, visible));
  queueMicrotask(() => (box.scrollTop = box.scrollHeight));
  return box;
}
