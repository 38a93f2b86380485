// The client of the page's own server, and the API key, which is kept for this tab only.
import { ApiError, Client } from "./client.js";
import { h } from "./dom.js";

const NAME = "agent-runtime-key";

// a page may sleep for hours, so it tries to connect for longer than a program would
export const client = new Client({ apiKey: sessionStorage.getItem(NAME), maxRetries: 2000 });

/** Does some work; asks for the API key, and does it again, when the server wants one. */
export async function withKey(work) {
  while (true) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 401) throw error;
      await askForKey(client.apiKey ? "The server does not accept this key." : "This server asks for an API key.");
    }
  }
}

let asking = null;

/** Asks for the key; requests that fail at the same time ask once. */
function askForKey(reason) {
  asking ??= new Promise((resolve) => {
    const field = h("input", { type: "password", autocomplete: "off", required: true, "aria-label": "API key" });
    const dialog = h("dialog", { "aria-label": "API key" }, h("form", { method: "dialog", onsubmit: () => {
      client.apiKey = field.value.trim();
      sessionStorage.setItem(NAME, client.apiKey);
    } }, h("p", {}, reason), field, h("button", { class: "primary" }, "Use this key")));
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => {
      dialog.remove();
      asking = null;
      resolve();
    });
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}

/** The command line that does the same as a request of the page. The key is not copied: a placeholder stands for it. */
export function curlLine(method, path, body = null, stream = false) {
  const pieces = ["curl", stream ? "-N" : "-s"];
  if (method !== "GET") pieces.push("-X", method);
  pieces.push(shellQuoted(location.origin + path));
  if (client.apiKey) pieces.push("-H", '"Authorization: Bearer $AGENT_RUNTIME_KEY"');
  if (body !== null) pieces.push("-H", "'Content-Type: application/json'", "-d", shellQuoted(JSON.stringify(body)));
  return pieces.join(" ");
}

function shellQuoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** A message about what failed. */
export function failure(error) {
  const message = error instanceof ApiError ? `${error.code}: ${error.message}` : `${error?.message ?? error}`;
  return h("p", { class: "why bad", role: "alert" }, message);
}
