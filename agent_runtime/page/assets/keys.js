// Keyboard: j and k go to the next and previous step, n to the next failure, / to the search.

/** Makes the keys work for the view that `current()` returns. */
export function listenForKeys(current) {
  document.addEventListener("keydown", (event) => {
    const view = current();
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (!view || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const action = { j: () => move(view, 1), k: () => move(view, -1), n: () => view.toolbar.nextFailure(), "/": () => view.toolbar.search.focus() }[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

function move(view, step) {
  const visible = [...view.views].filter(([, each]) => !each.element.hidden);
  const at = visible.findIndex(([, each]) => each.element.classList.contains("current"));
  const next = visible[Math.min(visible.length - 1, Math.max(0, at < 0 ? 0 : at + step))];
  if (next) view.jump(next[0]);
}
