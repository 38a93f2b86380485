// Charts of a run as SVG: tokens, context and cost per turn, and the timeline.
import { count, duration, h, money, svg, tokens } from "./dom.js";

const WIDTH = 320;
const HEIGHT = 96;
const MAX_BARS = 160; // more turns than that are summed up

/** Figures of the model calls: tokens, context, and cost where it is known. */
export function usageCharts(model) {
  const rows = grouped(model.usages);
  if (rows.length === 0) return [h("p", { class: "soft" }, "No model call has ended yet.")];
  const figures = [tokenChart(rows), contextChart(rows)];
  if (rows.some((row) => row.cost > 0)) figures.push(costChart(rows));
  return figures;
}

function grouped(usages) {
  const step = Math.ceil(usages.length / MAX_BARS);
  const rows = [];
  for (let at = 0; at < usages.length; at += step) {
    const part = usages.slice(at, at + step);
    const sum = (name) => part.reduce((total, each) => total + (each[name] ?? 0), 0) / part.length;
    const [first, last] = [part[0].turn, part.at(-1).turn];
    rows.push({
      label: first === last ? `turn ${first}` : `turns ${first} to ${last}`,
      cached: sum("cachedInputTokens"),
      fresh: Math.max(0, sum("inputTokens") - sum("cachedInputTokens")),
      output: sum("outputTokens"),
      context: sum("contextTokens"),
      window: part.at(-1).contextWindow,
      cost: sum("costUsd"),
    });
  }
  return rows;
}

function tokenChart(rows) {
  const names = ["cached", "fresh", "output"];
  const most = Math.max(1, ...rows.map((row) => row.cached + row.fresh + row.output));
  const bars = rows.flatMap((row, index) => {
    let below = 0;
    return names.map((name) => {
      const bar = column(index, rows.length, row[name] / most, below / most, name);
      below += row[name];
      bar.append(svg("title", {}, `${row.label}: ${count(Math.round(row[name]))} ${LEGEND[name]}`));
      return bar;
    });
  });
  const total = names.map((name) => rows.reduce((sum, row) => sum + row[name], 0));
  return figure("Tokens per turn", bars, tokens(most), names, `input from the cache ${tokens(total[0])}, other input ${tokens(total[1])}, output ${tokens(total[2])}`);
}

const LEGEND = { cached: "input from the cache", fresh: "other input", output: "output" };

function contextChart(rows) {
  const most = Math.max(1, ...rows.map((row) => row.context));
  const window = rows.at(-1).window;
  const bars = rows.map((row, index) => {
    const bar = column(index, rows.length, row.context / most, 0, "fresh");
    bar.append(svg("title", {}, `${row.label}: ${count(Math.round(row.context))} tokens in the context`));
    return bar;
  });
  const share = window ? `, ${Math.round((100 * most) / window)} % of the window` : "";
  return figure("Context per turn", bars, tokens(most), [], `at most ${tokens(most)} tokens${share}`);
}

function costChart(rows) {
  const most = Math.max(...rows.map((row) => row.cost));
  const bars = rows.map((row, index) => {
    const bar = column(index, rows.length, row.cost / most, 0, "output");
    bar.append(svg("title", {}, `${row.label}: ${money(row.cost)}`));
    return bar;
  });
  return figure("Cost per turn", bars, money(most), [], `at most ${money(most)}`);
}

function column(index, number, share, below, name) {
  const step = WIDTH / Math.max(number, 8);
  const height = share * (HEIGHT - 4);
  const y = HEIGHT - height - below * (HEIGHT - 4);
  return svg("rect", { x: index * step + step * 0.1, y, width: step * 0.8, height, class: `bar ${name}-series` });
}

function figure(title, bars, top, legend, summary) {
  return h("figure", {},
    h("figcaption", {}, title, h("span", { class: "soft" }, ` · highest ${top}`)),
    svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title}: ${summary}`, preserveAspectRatio: "none" }, bars),
    legend.length > 0 && h("p", { class: "legend" }, legend.map((name) => h("span", { class: `${name}-series` }, LEGEND[name]))),
    h("p", { class: "soft" }, summary));
}

/** The timeline; a click on a bar goes to its step (`jump(entry)`), as do the arrow keys and Enter. */
export function timeline(model, jump, now) {
  const begin = model.began ?? now;
  const whole = Math.max(1, (model.complete ? model.last : now) - begin);
  const lanes = { model: 0, tool: 1, failed: 1 };
  const bars = model.spans.map((span) => {
    const x = (1000 * Math.max(0, span.from - begin)) / whole;
    const width = Math.max(2, (1000 * (span.to - span.from)) / whole);
    const label = `${span.label}, ${duration(span.to - span.from)}`;
    const open = () => span.entry && jump(span.entry);
    const bar = svg("rect", { x, y: lanes[span.kind] * 15, width, height: 13, class: `span ${span.kind}`, onclick: open });
    bar.append(svg("title", {}, label));
    return bar;
  });
  const key = (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step && event.key !== "Enter") return;
    event.preventDefault();
    const at = bars.findIndex((bar) => bar.classList.contains("chosen"));
    const next = event.key === "Enter" ? at : Math.min(bars.length - 1, Math.max(0, at + step));
    if (!bars[next]) return;
    bars[at]?.classList.remove("chosen");
    bars[next].classList.add("chosen");
    const span = model.spans[next];
    element.setAttribute("aria-label", `${span.label}, ${duration(span.to - span.from)}`);
    if (event.key === "Enter" && span.entry) jump(span.entry);
  };
  const description = `Timeline: ${model.spans.filter((span) => span.kind === "model").length} model calls, ${model.spans.filter((span) => span.kind !== "model").length} tool calls in ${duration(whole)}`;
  const label = `${description}; arrow keys choose, Enter goes to the step`;
  const element = svg("svg", { viewBox: "0 0 1000 29", class: "timeline", role: "img", tabindex: 0, "aria-label": label, preserveAspectRatio: "none", onkeydown: key }, bars);
  return element;
}
