// Creates elements. Everything that comes from a run is inserted as text or as a checked attribute, never as markup.

/** An element with attributes, listeners (`onclick`: a function) and children; null, undefined and false are left out. */
export function h(tag, properties = {}, ...children) {
  return filled(document.createElement(tag), properties, children);
}

/** An element of SVG. */
export function svg(tag, properties = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

function filled(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button. */
export function button(label, onclick, properties = {}) {
  return h("button", { type: "button", onclick, ...properties }, label);
}

/** A link to an address of the web; only its text for addresses of other kinds, such as `javascript:`. */
export function link(address, label = address) {
  if (!isWebAddress(address)) return h("span", {}, label);
  return h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, label);
}

/** Whether an address begins with http: or https:. */
export function isWebAddress(address) {
  try {
    return ["http:", "https:"].includes(new URL(address).protocol);
  } catch {
    return false;
  }
}

/** An image of the run; null unless it is an image as base64. */
export function picture(address, label) {
  if (!/^data:image\/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]*$/.test(address)) return null;
  return h("img", { src: address, alt: label, loading: "lazy" });
}

/** A button that copies a text, and confirms it. */
export function copyButton(label, text, properties = {}) {
  const element = button(label, async () => {
    try {
      await navigator.clipboard.writeText(text());
      element.textContent = "Copied";
    } catch {
      element.textContent = "Copying is not allowed here";
    }
    setTimeout(() => (element.textContent = label), 1500);
  }, properties);
  return element;
}

/** A folded part of a panel; its content is built when it is opened for the first time. */
export function folded(summary, build, open = false) {
  const element = h("details", { open }, h("summary", {}, summary));
  const fill = () => {
    if (element.open && element.children.length === 1) element.append(...[build()].flat().filter(Boolean));
  };
  element.addEventListener("toggle", fill);
  fill();
  return element;
}

export const count = (value) => Number(value ?? 0).toLocaleString("en-US");

/** A number of things: `1 file`, `2 files`. */
export const plural = (value, noun) => `${count(value)} ${noun}${value === 1 ? "" : "s"}`;

/** A duration: `850 ms`, `12.3 s`, `4 min 5 s`. */
export function duration(milliseconds) {
  if (!Number.isFinite(milliseconds)) return "?";
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.floor(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function size(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

export function money(dollars) {
  if (dollars === null || dollars === undefined) return "unknown";
  return `$${dollars < 0.1 ? dollars.toFixed(4) : dollars.toFixed(2)}`;
}

/** Tokens in short: `850`, `12.3k`, `1.2M`. */
export function tokens(value) {
  if (value < 1000) return String(value ?? 0);
  return value < 1_000_000 ? `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)}k` : `${(value / 1_000_000).toFixed(1)}M`;
}

/** The time of day of a time stamp, in the reader's time zone. */
export function clock(timestamp) {
  const date = new Date(timestamp);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleTimeString("en-GB");
}

/** Day and time of a time stamp, in the reader's time zone. */
export function day(timestamp) {
  const date = new Date(timestamp);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleString("sv-SE").slice(0, 16);
}
