// Tokens, costs and times of a run.

const FIGURES = ["inputTokens", "outputTokens", "cachedInputTokens", "contextTokens", "contextWindow"];

/** Takes a `usage` event: the end of a model call. */
export function addUsage(model, event, time) {
  const figures = Object.fromEntries(FIGURES.map((name) => [name, Number.isFinite(event[name]) ? event[name] : 0]));
  model.usages.push({ ...event, ...figures });
  const totals = model.totals;
  for (const name of ["inputTokens", "outputTokens", "cachedInputTokens"]) totals[name] += figures[name];
  if (typeof event.costUsd === "number") totals.costUsd += event.costUsd;
  else totals.knownCost = false;
  const from = model.boundary ?? time;
  sameTurn(model, event.turn).model += time - from;
  const entry = model.entries.find((each) => each.turn === event.turn) ?? model.entries.at(-1) ?? null;
  addSpan(model, "model", from, time, `model call, turn ${event.turn}`, entry);
  model.boundary = time;
}

/** Adds a bar of the timeline. */
export function addSpan(model, kind, from, to, label, entry) {
  model.spans.push({ kind, from, to, label, entry });
}

/** The times of a turn: of the model, and of its tools. */
export function sameTurn(model, turn) {
  const known = model.turns.get(turn) ?? { model: 0, tools: 0 };
  model.turns.set(turn, known);
  return known;
}

/** The limits of the run that have a value, with what is used of them. */
export function limitRows(model, now) {
  const limits = model.start?.limits ?? {};
  const usage = model.usages.at(-1);
  const elapsed = (model.complete?.durationMs ?? now - model.began) / 1000;
  const totals = model.totals;
  const rows = [
    ["Turns", model.usages.length, limits.maxTurns, String],
    ["Tokens", totals.inputTokens + totals.outputTokens, limits.maxTotalTokens, shortNumber],
    ["Time", elapsed, limits.timeout, (seconds) => `${Math.round(seconds)} s`],
    ["Cost", totals.costUsd, limits.maxCost, (dollars) => `$${dollars.toFixed(2)}`],
    ["Context", usage?.contextTokens ?? 0, usage?.contextWindow, shortNumber],
  ];
  return rows
    .filter(([, , limit]) => typeof limit === "number" && limit > 0)
    .map(([name, used, limit, format]) => ({ name, share: Math.min(1, used / limit), text: `${format(used)} of ${format(limit)}` }));
}

function shortNumber(value) {
  return value < 1000 ? String(Math.round(value)) : `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)}k`;
}

/** Why the run ended, in words; empty while it goes on. */
export function ending(model) {
  const complete = model.complete;
  if (!complete) return "";
  const reasons = {
    end_turn: "The model finished its answer.",
    max_turns: "The limit on model calls was reached.",
    max_tokens: "An answer of the model was cut off at its token limit.",
    max_total_tokens: "The token budget of the run was used up.",
    max_cost: "The cost limit of the run was reached.",
    invalid_output: "The answer did not satisfy the requested schema.",
    timeout: "The time limit of the run was reached.",
    cancelled: "The run was cancelled.",
    refusal: "The model refused.",
    context_overflow: "The conversation did not fit the model's context window.",
    question: "The run waits for the answer to a question.",
    error: "The run failed.",
  };
  const reason = reasons[complete.stopReason] ?? complete.stopReason ?? "";
  return complete.error ? `${reason} ${complete.error.code}: ${complete.error.message}` : reason;
}
