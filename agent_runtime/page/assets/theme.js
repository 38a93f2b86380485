// Light or dark: that of the system, until the reader chooses.
import { button } from "./dom.js";

/** A button that switches between light and dark. */
export function themeButton() {
  const root = document.documentElement;
  const stored = read();
  if (stored) root.dataset.theme = stored;
  return button("Theme", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try {
      localStorage.setItem("theme", root.dataset.theme);
    } catch {
      // a page that is opened as a file may have no storage
    }
  }, { class: "small theme", title: "Light or dark" });
}

function read() {
  try {
    return localStorage.getItem("theme");
  } catch {
    return null;
  }
}
