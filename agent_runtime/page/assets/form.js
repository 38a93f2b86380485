// The form that starts a run.
import { button, copyButton, h, size } from "./dom.js";
import { client, curlLine, failure, withKey } from "./session.js";

const LIMITS = [
  ["maxTurns", "Turns", "model calls"],
  ["timeout", "Time", "seconds"],
  ["maxTotalTokens", "Tokens", "input and output"],
  ["maxCost", "Cost", "US dollars"],
];

/** The form; `start(request)` is called with the request. `threadId`: the thread that the run continues. */
export function startForm(start, threadId = null) {
  const images = [];
  const prompt = h("textarea", { name: "prompt", rows: 6, required: true, placeholder: "What should the agent do?", "aria-label": "Prompt" });
  const agent = h("select", { "aria-label": "Agent" }, h("option", { value: "" }, "default"));
  const model = h("input", { list: "models", placeholder: "that of the agent", "aria-label": "Model", autocomplete: "off" });
  const models = h("datalist", { id: "models" });
  const limits = Object.fromEntries(LIMITS.map(([name, label, unit]) => [name, h("input", { type: "number", min: 0, step: "any", placeholder: unit, "aria-label": `${label} limit` })]));
  const ask = h("input", { type: "checkbox" });
  const list = h("ul", { class: "images", "aria-label": "Images" });
  const files = h("input", { type: "file", accept: "image/png,image/jpeg,image/gif,image/webp", multiple: true, "aria-label": "Images", onchange: async () => {
    for (const file of files.files) images.push({ name: file.name, size: file.size, mediaType: file.type, data: await base64(file) });
    files.value = "";
    showImages();
  } });
  const problem = h("div");
  const showImages = () => list.replaceChildren(...images.map((image, index) => h("li", {}, `${image.name} (${size(image.size)}) `, button("Remove", () => {
    images.splice(index, 1);
    showImages();
  }, { class: "small" }))));

  const request = () => {
    const text = prompt.value;
    const pieces = images.map(({ mediaType, data }) => ({ type: "image", mediaType, data }));
    const body = pieces.length > 0 ? { messages: [{ role: "user", content: [{ type: "text", text }, ...pieces] }] } : { prompt: text };
    if (agent.value) body.agent = agent.value;
    if (model.value.trim()) body.model = model.value.trim();
    const given = Object.entries(limits).filter(([, field]) => field.value !== "");
    if (given.length > 0) body.config = Object.fromEntries(given.map(([name, field]) => [name, Number(field.value)]));
    if (threadId) body.threadId = threadId;
    if (ask.checked) body.askUser = true;
    return body;
  };
  const submit = (event) => {
    event?.preventDefault();
    problem.replaceChildren();
    if (prompt.value.trim()) start(request(), (error) => problem.replaceChildren(failure(error)));
  };
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) submit(event);
  });
  fillChoices(agent, models);
  const field = (label, control, hint) => h("label", { class: "field" }, h("span", {}, label), control, hint && h("span", { class: "soft" }, hint));
  return h("form", { class: "start", onsubmit: submit },
    h("h2", {}, threadId ? `Continue ${threadId}` : "Start a run"),
    prompt, models,
    h("div", { class: "fields" }, field("Agent", agent), field("Model", model), LIMITS.map(([name, label]) => field(label, limits[name]))),
    field("Images", files), list,
    h("label", { class: "check" }, ask, " The model may ask questions"),
    h("div", { class: "actions" }, h("button", { class: "primary", title: "Ctrl+Enter" }, "Start"),
      copyButton("Copy as curl", () => curlLine("POST", "/v1/run", request(), true))),
    problem);
}

async function fillChoices(agent, models) {
  try {
    const [agents, known] = await withKey(() => Promise.all([client.agents(), client.models()]));
    agent.append(...agents.map((each) => h("option", { value: each.slug, title: each.description ?? each.error ?? "" }, each.slug)));
    models.append(...known.models.map((each) => h("option", { value: each.name })));
  } catch {
    // the form works without suggestions; starting a run reports what is wrong
  }
}

function base64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}
