// Displays the run that is part of the page.
import { day, h } from "./dom.js";
import { listenForKeys } from "./keys.js";
import { RunView } from "./run_view.js";
import { themeButton } from "./theme.js";

const data = JSON.parse(document.getElementById("run").textContent);
const view = new RunView({ title: data.title, runId: data.runId });
view.describe(data);
for (const event of data.events) view.push(event);
view.work();
document.body.prepend(h("div", { class: "report-bar" }, h("span", { class: "soft" }, `agent-runtime ${data.runtimeVersion} · `, h("time", { datetime: data.createdAt }, day(data.createdAt))), themeButton()));
document.querySelector("main").replaceChildren(view.element);
document.title = `${data.title.slice(0, 60) || "run"} · ${data.runId}`;
listenForKeys(() => view);
