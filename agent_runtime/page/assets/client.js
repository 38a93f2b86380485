// Made from clients/typescript/agent-runtime.ts by scripts/make-client.
/**
 * Client of the agent-runtime HTTP API. One file without dependencies, for browsers and node 22 or later.
 *
 *     import { Client } from "./agent-runtime.ts";
 *
 *     const client = new Client({ baseUrl: "http://127.0.0.1:8080" });
 *     const run = client.run("Write greet.py.");
 *     for await (const event of run) {
 *       if (event.type === "tool_call") console.log(event.tool, event.input);
 *     }
 *     console.log(run.complete?.status, run.complete?.output);
 *
 * A stream that is interrupted continues by itself after the last event that was received. The types at the end of
 * this file are generated from `agent-runtime schema` by scripts/make-client.
 */

/** The server refused a request. `retryAfter`: seconds after which it may be repeated, when the server names them. */
export class ApiError extends Error {
           status        ;
           code        ;
           requestId               ;
           retryAfter               ;

  constructor(status        , code        , message        , headers         ) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.requestId = headers.get("x-request-id");
    const seconds = Number(headers.get("retry-after") ?? NaN);
    this.retryAfter = Number.isFinite(seconds) ? seconds : null;
  }
}

/** The stream was interrupted, and could not be continued within the allowed number of attempts. */
export class StreamLostError extends Error {
                    name = "StreamLostError";
}

const SILENCE = 45_000; // milliseconds; the server sends something every 15 seconds
const LONGEST_DELAY = 5_000;

/** A client of one server. Its methods throw ApiError when the server refuses, and TypeError without a connection. */
export class Client {
           baseUrl        ;
           maxRetries        ;
           retryDelay        ;
  apiKey               ;

  constructor(options                = {}) {
    this.baseUrl = (options.baseUrl ?? "").replace(/\/+$/, "");
    this.apiKey = options.apiKey ?? null;
    this.maxRetries = options.maxRetries ?? 10;
    this.retryDelay = options.retryDelay ?? 100;
  }

  /** A new run as a stream of events. It is started when the first event is requested. */
  run(request                     , signal              )            {
    const body = typeof request === "string" ? { prompt: request } : request;
    const start = { path: "/v1/run", body: { ...body, stream: true }, key: randomKey() };
    return new RunStream(this, start, "", -1, signal);
  }

  /** The events of a run, those after the event with the number `after`. */
  events(runId        , after = -1, signal              )            {
    return new RunStream(this, null, runId, after, signal);
  }

  /** The status of a run, or its result when it has ended. */
  getRun(runId        )               {
    return this.data("GET", `/v1/runs/${quoted(runId)}`);
  }

  /** A page of the list of runs, the latest first. */
  listRuns(query                                                                                          = {})                {
    return this.json("GET", "/v1/runs", undefined, query);
  }

  cancel(runId        )               {
    return this.control(runId, "cancel");
  }

  /** Pauses a run before its next model call or tool call. */
  pause(runId        )               {
    return this.control(runId, "pause");
  }

  resume(runId        )               {
    return this.control(runId, "resume");
  }

  /** Sends a user message, which is delivered before the next model call. */
  input(runId        , text        )               {
    return this.control(runId, "input", { text });
  }

  /** Answers a `question` event. */
  answer(runId        , id        , text        )               {
    return this.control(runId, "answer", { id, text });
  }

  /** Freezes a run for a snapshot of its machine, which may be taken after the notice `frozen`. */
  freeze(runId        )               {
    return this.control(runId, "freeze");
  }

  /** Continues a run after `freeze`; a fork of the snapshot may get another id, sandbox and variables of its tools. */
  thaw(runId        , renewal                                                                       = {})               {
    return this.control(runId, "thaw", renewal);
  }

  /** A page of the list of threads, the last used first. */
  listThreads(query                                                      = {})                {
    return this.json("GET", "/v1/run/threads", undefined, query);
  }

  /** A thread with its messages and the ids of its runs. */
  getThread(threadId        )               {
    return this.data("GET", `/v1/run/threads/${quoted(threadId)}`);
  }

  deleteThread(threadId        )               {
    return this.data("DELETE", `/v1/run/threads/${quoted(threadId)}`);
  }

  forkThread(threadId        , newId         )               {
    return this.data("POST", `/v1/run/threads/${quoted(threadId)}/fork`, newId ? { as: newId } : {});
  }

  models()               {
    return this.data("GET", "/v1/models");
  }

  agents()                 {
    return this.data("GET", "/v1/agents");
  }

  /** Sends a request, and returns the `data` of its answer. */
  async data(method        , path        , body         )               {
    return (await this.json(method, path, body)).data;
  }

  /** Sends a request, and returns the JSON of its answer. */
  async json(method        , path        , body         , query                                              = {})               {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    const response = await this.send(method, search ? `${path}?${search}` : path, { body });
    return response.json();
  }

  /** Sends a request. Throws ApiError when the server refuses. */
  async send(method        , path        , options              = {})                    {
    const headers                         = { accept: options.accept ?? "application/json" };
    if (this.apiKey) headers["authorization"] = `Bearer ${this.apiKey}`;
    if (options.body !== undefined) headers["content-type"] = "application/json";
    if (options.key) headers["idempotency-key"] = options.key;
    const body = options.body === undefined ? null : JSON.stringify(options.body);
    const response = await fetch(this.baseUrl + path, {
      method, headers, body, signal: options.signal ?? null, cache: "no-store",
    });
    if (!response.ok) throw await refusal(response);
    return response;
  }

          control(runId        , action        , body         = {})               {
    return this.data("POST", `/v1/runs/${quoted(runId)}/${action}`, body);
  }
}

/** The events of a run. Leaving the loop closes the connection; the run itself goes on. */
export class RunStream                                    {
  /** Known when the first event was received. */
  runId        ;
  threadId = "";
  /** The number of the last event that was received; -1 before the first. */
  after        ;
  /** The last event of the run, once it was received. */
  complete                       = null;
  /** Called when the connection was lost (with the error), and when events arrive again (with null). */
  onInterruption                           = () => {};

                   client        ;
                   start              ;
                   signal                         ;
          failures = 0;
          atEnd = false;

  constructor(client        , start              , runId        , after        , signal              ) {
    this.client = client;
    this.start = start;
    this.runId = runId;
    this.after = after;
    this.signal = signal;
  }

  /** Yields the events. Throws ApiError when the server refuses, and StreamLostError when it stays away. */
  async *[Symbol.asyncIterator]()                                            {
    while (this.complete === null && !this.atEnd) {
      try {
        yield* this.connection();
      } catch (error) {
        await this.delay(error);
      }
    }
  }

  /** Yields the events of one connection, in order and each once. Throws when it ends before `complete`. */
  ;       async *connection()                                            {
    const silence = new AbortController();
    const abort = () => silence.abort(this.signal?.reason);
    this.signal?.addEventListener("abort", abort, { once: true });
    this.signal?.throwIfAborted();
    let timer                                           ;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(new Error("the connection is silent")), SILENCE);
    };
    try {
      heard();
      const response = await this.connect(silence.signal);
      if (response.status === 204) { // the run has ended, and nothing follows the event that was named
        this.atEnd = true;
        return;
      }
      for await (const data of sseData(response.body , heard)) {
        const event = JSON.parse(data)            ;
        if (event.seq <= this.after) continue;
        if (event.seq !== this.after + 1) throw new Error(`expected event ${this.after + 1}, got ${event.seq}`);
        this.after = event.seq;
        if (this.failures > 0) this.onInterruption(null);
        this.failures = 0;
        if (event.type === "complete") this.complete = event;
        yield event;
        if (this.complete !== null) return;
        this.signal?.throwIfAborted();
      }
      throw new Error("the stream ended before `complete`");
    } finally {
      clearTimeout(timer);
      this.signal?.removeEventListener("abort", abort);
      silence.abort();
    }
  }

          async connect(signal             )                    {
    const accept = "text/event-stream";
    if (this.start !== null && this.after < 0) {
      // the key makes the request safe to repeat: it is the same run
      const { path, body, key } = this.start;
      const response = await this.client.send("POST", path, { body, key, accept, signal });
      this.runId = response.headers.get("x-run-id") ?? this.runId;
      this.threadId = response.headers.get("x-thread-id") ?? this.threadId;
      return response;
    }
    const after = this.after < 0 ? "" : `?after=${this.after}`;
    return this.client.send("GET", `/v1/runs/${quoted(this.runId)}/events${after}`, { accept, signal });
  }

          async delay(error         )                {
    this.signal?.throwIfAborted();
    let milliseconds = Math.min(LONGEST_DELAY, this.client.retryDelay * 2 ** this.failures);
    if (error instanceof ApiError) {
      const starting = error.status === 409 && error.retryAfter !== null && this.failures > 0;
      if (error.status < 500 && error.status !== 429 && !starting) throw error;
      if (error.retryAfter !== null) milliseconds = error.retryAfter * 1000;
    }
    this.failures += 1;
    if (this.failures > this.client.maxRetries) {
      const message = `${this.client.maxRetries} attempts to continue after event ${this.after} failed: ${error}`;
      throw new StreamLostError(message, { cause: error });
    }
    this.onInterruption(error);
    await new Promise((done) => setTimeout(done, milliseconds));
    this.signal?.throwIfAborted();
  }
}

/** Yields the data of the messages of a body of server-sent events; `heard` is called for every piece of it. */
export async function* sseData(body                            , heard = () => {})                                          {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let pieces           = []; // of a line that has not ended
  let data           = [];
  try {
    while (true) {
      const { done, value } = await reader.read();
      if (done) return;
      heard();
      const lines = decoder.decode(value, { stream: true }).split("\n");
      for (const [index, text] of lines.entries()) {
        pieces.push(text);
        if (index === lines.length - 1) break;
        const line = pieces.join("").replace(/\r$/, "");
        pieces = [];
        if (line === "") {
          if (data.length > 0) yield data.join("\n");
          data = [];
        } else if (line.startsWith("data:")) {
          data.push(line.slice(line[5] === " " ? 6 : 5));
        }
      }
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

async function refusal(response          )                    {
  const text = await response.text();
  let code = "http_error";
  let message = text.slice(0, 500) || response.statusText;
  try {
    const { error } = JSON.parse(text);
    if (typeof error?.code === "string") ({ code, message } = error);
  } catch {
    // not an answer of this API
  }
  return new ApiError(response.status, code, message, response.headers);
}

function randomKey()         {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID exists in secure contexts only
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function quoted(name        )         {
  return encodeURIComponent(name);
}
