// The application at `/`: which page is displayed depends on the part of the address after `#`.
import { h } from "./dom.js";
import { startForm } from "./form.js";
import { listenForKeys } from "./keys.js";
import { runList, threadList, threadPage } from "./lists.js";
import { LiveRun } from "./live.js";
import { summaryRows } from "./panels.js";
import { client, withKey } from "./session.js";
import { themeButton } from "./theme.js";

const main = h("main", { tabindex: -1 });
const links = [["#/", "New run"], ["#/runs", "Runs"], ["#/threads", "Threads"]].map(([href, label]) => h("a", { href }, label));
document.body.replaceChildren(
  h("header", { class: "top" }, h("strong", {}, "agent-runtime"), h("nav", { "aria-label": "Pages" }, links), h("span", { class: "space" }), themeButton()),
  main,
);

let open = []; // the runs that are displayed
let address = null; // the address of what is displayed

function display(...content) {
  for (const run of open) run.close();
  open = [];
  main.replaceChildren(...content);
  window.scrollTo(0, 0);
}

/** Starts a run, and displays it when the server has accepted it. */
function start(request, refused) {
  const title = request.prompt ?? request.messages[0].content[0].text;
  const run = new LiveRun("", { request: { ...request, partial: true }, title, onerror: refused, onstart: (id) => {
    address = `#/runs/${encodeURIComponent(id)}`;
    display(run.element);
    open = [run];
    markLink("runs");
    location.hash = address;
  } });
}

function comparison(first, second) {
  const runs = [first, second].map((id) => new LiveRun(id, { compact: true }));
  const table = h("table", { class: "figures comparison" });
  const refresh = () => {
    const [left, right] = runs.map((run) => new Map(summaryRows(run.view.model)));
    const names = [...new Set([...left.keys(), ...right.keys()])];
    table.replaceChildren(h("tbody", {}, names.map((name) => {
      const differs = left.get(name) !== right.get(name);
      return h("tr", { class: differs ? "differs" : "" }, h("th", { scope: "row" }, name), h("td", {}, left.get(name) ?? ""), h("td", {}, right.get(name) ?? ""));
    })));
  };
  for (const run of runs) {
    const ended = run.view.options.onend;
    run.view.options.onend = () => {
      ended();
      refresh();
    };
  }
  display(h("section", { "aria-label": "Two runs" }, h("h2", {}, "Two runs"), table, h("div", { class: "compare" }, runs.map((run) => run.element))));
  open = runs;
}

function markLink(page) {
  for (const each of links) {
    if (each.hash === `#/${page}`) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
}

function route() {
  if (location.hash === address) return;
  address = location.hash;
  const [page = "", ...names] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  markLink(page);
  if (page === "runs" && names[0]) {
    const run = new LiveRun(names[0]);
    display(run.element);
    open = [run];
  } else if (page === "runs") display(runList());
  else if (page === "threads" && names[0]) display(threadPage(names[0], startForm(start, names[0])));
  else if (page === "threads") display(threadList());
  else if (page === "compare" && names.length === 2) comparison(...names);
  else display(h("div", { class: "home" }, startForm(start), runList({ limit: 12, compact: true })));
}

window.addEventListener("hashchange", route);
listenForKeys(() => open[0]?.view ?? null);
withKey(() => client.agents()).then(route, route);
