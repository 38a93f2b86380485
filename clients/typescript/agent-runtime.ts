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
  readonly status: number;
  readonly code: string;
  readonly requestId: string | null;
  readonly retryAfter: number | null;

  constructor(status: number, code: string, message: string, headers: Headers) {
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
  override readonly name = "StreamLostError";
}

export interface ClientOptions {
  /** Address of the server; in a page, by default that of the page. */
  baseUrl?: string;
  /** Sent as a bearer token. */
  apiKey?: string | null;
  /** Failed attempts in a row to continue a stream; 10 by default. */
  maxRetries?: number;
  /** Milliseconds before the second attempt to continue a stream, doubled for each further one; 100 by default. */
  retryDelay?: number;
}

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Row = Record<string, any>;
export interface Page {
  data: Row[];
  meta: { requestId: string; hasMore?: boolean; nextCursor?: string | null };
}

const SILENCE = 45_000; // milliseconds; the server sends something every 15 seconds
const LONGEST_DELAY = 5_000;

/** A client of one server. Its methods throw ApiError when the server refuses, and TypeError without a connection. */
export class Client {
  readonly baseUrl: string;
  readonly maxRetries: number;
  readonly retryDelay: number;
  apiKey: string | null;

  constructor(options: ClientOptions = {}) {
    this.baseUrl = (options.baseUrl ?? "").replace(/\/+$/, "");
    this.apiKey = options.apiKey ?? null;
    this.maxRetries = options.maxRetries ?? 10;
    this.retryDelay = options.retryDelay ?? 100;
  }

  /** A new run as a stream of events. It is started when the first event is requested. */
  run(request: string | RunRequest, signal?: AbortSignal): RunStream {
    const body = typeof request === "string" ? { prompt: request } : request;
    const start = { path: "/v1/run", body: { ...body, stream: true }, key: randomKey() };
    return new RunStream(this, start, "", -1, signal);
  }

  /** The events of a run, those after the event with the number `after`. */
  events(runId: string, after = -1, signal?: AbortSignal): RunStream {
    return new RunStream(this, null, runId, after, signal);
  }

  /** The status of a run, or its result when it has ended. */
  getRun(runId: string): Promise<Row> {
    return this.data("GET", `/v1/runs/${quoted(runId)}`);
  }

  /** A page of the list of runs, the latest first. */
  listRuns(query: { agent?: string; status?: string; threadId?: string; limit?: number; cursor?: string } = {}): Promise<Page> {
    return this.json("GET", "/v1/runs", undefined, query);
  }

  cancel(runId: string): Promise<Row> {
    return this.control(runId, "cancel");
  }

  /** Pauses a run before its next model call or tool call. */
  pause(runId: string): Promise<Row> {
    return this.control(runId, "pause");
  }

  resume(runId: string): Promise<Row> {
    return this.control(runId, "resume");
  }

  /** Sends a user message, which is delivered before the next model call. */
  input(runId: string, text: string): Promise<Row> {
    return this.control(runId, "input", { text });
  }

  /** Answers a `question` event. */
  answer(runId: string, id: string, text: string): Promise<Row> {
    return this.control(runId, "answer", { id, text });
  }

  /** Freezes a run for a snapshot of its machine, which may be taken after the notice `frozen`. */
  freeze(runId: string): Promise<Row> {
    return this.control(runId, "freeze");
  }

  /** Continues a run after `freeze`; a fork of the snapshot may get another id, sandbox and variables of its tools. */
  thaw(runId: string, renewal: { runId?: string; sandboxId?: string; env?: Record<string, string> } = {}): Promise<Row> {
    return this.control(runId, "thaw", renewal);
  }

  /** A page of the list of threads, the last used first. */
  listThreads(query: { agent?: string; limit?: number; cursor?: string } = {}): Promise<Page> {
    return this.json("GET", "/v1/run/threads", undefined, query);
  }

  /** A thread with its messages and the ids of its runs. */
  getThread(threadId: string): Promise<Row> {
    return this.data("GET", `/v1/run/threads/${quoted(threadId)}`);
  }

  deleteThread(threadId: string): Promise<Row> {
    return this.data("DELETE", `/v1/run/threads/${quoted(threadId)}`);
  }

  forkThread(threadId: string, newId?: string): Promise<Row> {
    return this.data("POST", `/v1/run/threads/${quoted(threadId)}/fork`, newId ? { as: newId } : {});
  }

  models(): Promise<Row> {
    return this.data("GET", "/v1/models");
  }

  agents(): Promise<Row[]> {
    return this.data("GET", "/v1/agents");
  }

  /** Sends a request, and returns the `data` of its answer. */
  async data(method: string, path: string, body?: object): Promise<any> {
    return (await this.json(method, path, body)).data;
  }

  /** Sends a request, and returns the JSON of its answer. */
  async json(method: string, path: string, body?: object, query: Record<string, string | number | undefined> = {}): Promise<any> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    const response = await this.send(method, search ? `${path}?${search}` : path, { body });
    return response.json();
  }

  /** Sends a request. Throws ApiError when the server refuses. */
  async send(method: string, path: string, options: SendOptions = {}): Promise<Response> {
    const headers: Record<string, string> = { accept: options.accept ?? "application/json" };
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

  private control(runId: string, action: string, body: object = {}): Promise<Row> {
    return this.data("POST", `/v1/runs/${quoted(runId)}/${action}`, body);
  }
}

interface SendOptions {
  body?: object | undefined;
  key?: string;
  accept?: string;
  signal?: AbortSignal;
}

interface Start {
  path: string;
  body: object;
  key: string;
}

/** The events of a run. Leaving the loop closes the connection; the run itself goes on. */
export class RunStream implements AsyncIterable<RunEvent> {
  /** Known when the first event was received. */
  runId: string;
  threadId = "";
  /** The number of the last event that was received; -1 before the first. */
  after: number;
  /** The last event of the run, once it was received. */
  complete: CompleteEvent | null = null;
  /** Called when the connection was lost (with the error), and when events arrive again (with null). */
  onInterruption: (error: unknown) => void = () => {};

  private readonly client: Client;
  private readonly start: Start | null;
  private readonly signal: AbortSignal | undefined;
  private failures = 0;
  private atEnd = false;

  constructor(client: Client, start: Start | null, runId: string, after: number, signal?: AbortSignal) {
    this.client = client;
    this.start = start;
    this.runId = runId;
    this.after = after;
    this.signal = signal;
  }

  /** Yields the events. Throws ApiError when the server refuses, and StreamLostError when it stays away. */
  async *[Symbol.asyncIterator](): AsyncGenerator<RunEvent, void, undefined> {
    while (this.complete === null && !this.atEnd) {
      try {
        yield* this.connection();
      } catch (error) {
        await this.delay(error);
      }
    }
  }

  /** Yields the events of one connection, in order and each once. Throws when it ends before `complete`. */
  private async *connection(): AsyncGenerator<RunEvent, void, undefined> {
    const silence = new AbortController();
    const abort = () => silence.abort(this.signal?.reason);
    this.signal?.addEventListener("abort", abort, { once: true });
    this.signal?.throwIfAborted();
    let timer: ReturnType<typeof setTimeout> | undefined;
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
      for await (const data of sseData(response.body!, heard)) {
        const event = JSON.parse(data) as RunEvent;
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

  private async connect(signal: AbortSignal): Promise<Response> {
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

  private async delay(error: unknown): Promise<void> {
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
export async function* sseData(body: ReadableStream<Uint8Array>, heard = () => {}): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let pieces: string[] = []; // of a line that has not ended
  let data: string[] = [];
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

async function refusal(response: Response): Promise<ApiError> {
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

function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16)); // randomUUID exists in secure contexts only
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function quoted(name: string): string {
  return encodeURIComponent(name);
}

// ---- types, generated by scripts/make-client ----

/** The last line of a run, exactly once. `result` is the same text as `output`. `left`: the processes that go on after the run. `ended`: those that were ended with it. */
export interface CompleteEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "complete";
  status: "completed" | "failed" | "cancelled" | "waiting";
  stopReason: "end_turn" | "max_turns" | "max_tokens" | "max_total_tokens" | "max_cost" | "invalid_output" | "timeout" | "cancelled" | "refusal" | "context_overflow" | "question" | "error";
  output: string;
  result: string;
  files: string[];
  deletedFiles: string[];
  ignoredChanges?: Record<string, any> | null;
  devUrl?: string | null;
  devUrls: Record<string, any>[];
  left: LeftProcess[];
  ended?: LeftProcess[] | null;
  structuredOutput?: any | null;
  usage?: TotalUsage;
  iterations: number;
  durationMs: number;
  threadId?: string | null;
  sandboxId?: string | null;
  rolloutId?: string | null;
  targetDeviceId?: string | null;
  idempotencyKey?: string | null;
  executionMode?: string | null;
  metadata?: any;
  error?: ErrorInfo | null;
}

/** Limits and settings of a run; seconds for all times, tokens for all sizes. */
export interface Config {
  maxTurns?: number | null;
  maxTokens?: number | null;
  maxTotalTokens?: number | null;
  maxCost?: number | null;
  temperature?: number | null;
  timeout?: number | null;
  toolTimeout?: number | null;
  effort?: "low" | "medium" | "high" | "xhigh" | "max" | null;
  thinking?: boolean | null;
  parallelTools?: boolean | null;
  maxRetries?: number | null;
  modelTimeout?: number | null;
  connectTimeout?: number | null;
  firstTokenTimeout?: number | null;
  betweenTokensTimeout?: number | null;
  toolOutputTokens?: number | null;
}

/** A model at an endpoint that the caller specifies; `format` is the wire format of the endpoint. */
export interface CustomModel {
  provider: string;
  endpoint?: string | null;
  apiKey?: string | null;
  format?: "openai" | "openai-responses" | "anthropic" | null;
  name: string;
}

/** A server that the run started has begun or stopped listening. */
export interface DevUrlEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "dev_url";
  url: string;
  port: number;
  localUrl: string;
  status: "up" | "down";
  pid?: number | null;
  command?: string | null;
  logFile?: string | null;
  http?: boolean | null;
  loopbackOnly: boolean;
}

/** Something failed. `attempt` and `retry_in_ms` are set when it will be tried again. */
export interface ErrorEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "error";
  code: "invalid_request" | "authentication_error" | "permission_denied" | "model_not_found" | "rate_limited" | "insufficient_quota" | "overloaded" | "provider_error" | "provider_timeout" | "context_overflow" | "refusal" | "max_turns" | "max_tokens" | "max_total_tokens" | "max_cost" | "invalid_output" | "timeout" | "tool_error" | "replay_mismatch" | "transcript_error" | "internal_error";
  message: string;
  retryable: boolean;
  attempt?: number | null;
  retryInMs?: number | null;
  details?: Record<string, any> | null;
}

/** The error that ended a run. */
export interface ErrorInfo {
  code: "invalid_request" | "authentication_error" | "permission_denied" | "model_not_found" | "rate_limited" | "insufficient_quota" | "overloaded" | "provider_error" | "provider_timeout" | "context_overflow" | "refusal" | "max_turns" | "max_tokens" | "max_total_tokens" | "max_cost" | "invalid_output" | "timeout" | "tool_error" | "replay_mismatch" | "transcript_error" | "internal_error";
  message: string;
  retryable: boolean;
  details?: Record<string, any> | null;
}

/** A file has changed. `diff` can be applied by `git apply`; when it is truncated, `diff_file` has the whole. */
export interface FileEditEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "file_edit";
  path: string;
  action: "create" | "modify" | "delete" | "rename";
  oldPath?: string | null;
  diff: string;
  additions: number;
  deletions: number;
  binary?: boolean | null;
  sha256?: string | null;
  size?: number | null;
  diffFile?: string | null;
  outsideWorkspace?: boolean | null;
  source: "tool" | "shell";
  toolCallId?: string | null;
}

/** Sent when no other event was written for a while: what the run waits for, and since when (RFC 3339). */
export interface HeartbeatEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "heartbeat";
  awaiting: "model" | "tool" | "resume" | "retry";
  since: string;
}

/** A process of the run that still lives, or that was ended with the run. */
export interface LeftProcess {
  pid: number;
  command: string;
  toolCallId?: string | null;
  port?: number | null;
  logFile?: string | null;
}

/** A server: a program that speaks MCP on its stdin and stdout, or the URL of one (streamable HTTP). `${VAR}` and `${VAR:-default}` in strings are replaced by variables of the environment. `timeout` limits a tool call: in milliseconds from 1000 on, as in Claude Code; smaller numbers are in seconds. */
export interface McpServer {
  type?: "stdio" | "http" | "streamable-http" | null;
  command?: string | null;
  args?: string[];
  env?: Record<string, string>;
  cwd?: string | null;
  url?: string | null;
  headers?: Record<string, string>;
  timeout?: number | null;
  toolTimeoutSec?: number | null;
  startupTimeoutSec?: number | null;
  required?: boolean;
  enabled?: boolean;
  enabledTools?: string[] | null;
  disabledTools?: string[];
  alwaysLoad?: boolean;
}

/** Persistent storage that the launcher has mounted. */
export interface Mount {
  workspaceId: string;
  path: string;
}

/** Information for the caller that requires no action. */
export interface NoticeEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "notice";
  code: "parameter_dropped" | "limit_near" | "context_compacted" | "history_repaired" | "empty_answer" | "frozen" | "thawed" | "fallback_model" | "mcp_server_ready" | "mcp_server_failed" | "recording_stopped" | "state_dir_unwritable" | "request_differs" | "not_masked" | "tracking_degraded" | "price_unknown" | "skill_ignored" | "background_awaited" | "not_a_template" | "changed_files" | "subagent";
  message: string;
  details?: Record<string, any> | null;
}

/** The model has made or changed its plan. `items` are all steps, in order; `explanation` says what has changed. */
export interface PlanEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "plan";
  items: PlanItem[];
  explanation?: string | null;
  turn: number;
}

/** A step of a plan. */
export interface PlanItem {
  step: string;
  status: "pending" | "in_progress" | "completed";
}

/** The model asks the user. The call waits for a control message `answer` with the same id. `options` are answers to choose from; another answer may be given too. */
export interface QuestionEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "question";
  id: string;
  text: string;
  options?: string[] | null;
  turn: number;
}

export type RunEvent =
  | CompleteEvent
  | DevUrlEvent
  | ErrorEvent
  | FileEditEvent
  | HeartbeatEvent
  | NoticeEvent
  | PlanEvent
  | QuestionEvent
  | StartEvent
  | TextDeltaEvent
  | ThinkingDeltaEvent
  | ThinkingEvent
  | ToolCallEvent
  | ToolInputDeltaEvent
  | ToolOutputDeltaEvent
  | ToolResultEvent
  | UsageEvent;

/** The request for one run. A field that is None was not given: the agent definition or a default decides. */
export interface RunRequest {
  prompt?: string | null;
  parts?: any[] | null;
  messages?: Record<string, any>[] | null;
  agent?: string | null;
  model?: string | CustomModel | (string | CustomModel)[] | null;
  systemPrompt?: string | null;
  tools?: string[] | null;
  config?: Config;
  threadId?: string | null;
  stream?: boolean | null;
  params?: Record<string, any> | null;
  context?: Record<string, any> | null;
  metadata?: any;
  mounts?: Mount[];
  runId?: string | null;
  sandboxId?: string | null;
  rolloutId?: string | null;
  targetDeviceId?: string | null;
  executionMode?: string | null;
  env?: Record<string, string>;
  idempotencyKey?: string | null;
  askUser?: boolean;
  outputSchema?: Record<string, any> | null;
  skills?: boolean | string[] | null;
  mcpServers?: Record<string, McpServer> | null;
  traceparent?: string | null;
  workspace?: string | null;
  stateDir?: string | null;
  record?: string | null;
  noRecord?: boolean;
  partial?: boolean;
  format?: "ndjson" | "pretty" | null;
  devUrl?: string | null;
  toolUser?: string | null;
  confine?: boolean;
  trackIgnored?: boolean;
  heartbeat?: number | null;
  questionTimeout?: number | null;
  agentsDir?: string | null;
  skillsDir?: string | null;
  mcpConfig?: string | null;
  workspaceMcp?: boolean;
  logLevel?: "debug" | "info" | "warning" | "error" | null;
  message?: string | null;
  agentSlug?: string | null;
}

/** The first line of a run. */
export interface StartEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "start";
  schemaVersion: number;
  runtimeVersion: string;
  agent: string;
  model: string;
  provider: string;
  workspace: string;
  tools: string[];
  limits: Record<string, any>;
  threadId?: string | null;
  sandboxId?: string | null;
  rolloutId?: string | null;
  targetDeviceId?: string | null;
  idempotencyKey?: string | null;
  executionMode?: string | null;
  metadata?: any;
}

/** A piece of the model's text, with `--partial` only. */
export interface TextDeltaEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  delta: string;
  restart?: boolean | null;
  turn: number;
  type: "text_delta";
}

/** A piece of the model's reasoning, with `--partial` only. */
export interface ThinkingDeltaEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  delta: string;
  restart?: boolean | null;
  turn: number;
  type: "thinking_delta";
}

/** The model's reasoning (`reasoning`), or what it writes before and between tool calls (`text`). */
export interface ThinkingEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "thinking";
  content: string;
  kind: "reasoning" | "text";
  turn: number;
}

/** The model calls a tool. `input` is the parsed object; arguments that are not an object are sent as a string. */
export interface ToolCallEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "tool_call";
  id: string;
  tool: string;
  input: any;
  turn: number;
}

/** A piece of a call's arguments, with `--partial` only. */
export interface ToolInputDeltaEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  delta: string;
  restart?: boolean | null;
  turn: number;
  type: "tool_input_delta";
  id: string;
}

/** A piece of a tool's output, with `--partial` only. */
export interface ToolOutputDeltaEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  delta: string;
  restart?: boolean | null;
  turn: number;
  type: "tool_output_delta";
  id: string;
}

/** The result of a tool call; exactly one for every `tool_call`. */
export interface ToolResultEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "tool_result";
  id: string;
  tool: string;
  output: string;
  isError: boolean;
  outcome: "completed" | "failed" | "timed_out" | "cancelled" | "not_started";
  durationMs: number;
  exitCode?: number | null;
  outputBytes?: number | null;
  turn: number;
}

/** The sums over all model calls. `prompt_tokens` equals `input_tokens`, `completion_tokens` equals `output_tokens`. `cost_usd` is None when the price of a call is not known. */
export interface TotalUsage {
  inputTokens: number;
  outputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  reasoningTokens: number;
  totalTokens: number;
  promptTokens: number;
  completionTokens: number;
  costUsd?: number | null;
  estimated?: boolean | null;
}

/** Sent after each model call: its tokens, and those in the context. `estimated`: counted by the runtime, because the provider reported no usage. `cost_usd` is None when the price of the model is not known. */
export interface UsageEvent {
  seq: number;
  ts: string;
  runId: string;
  truncated?: boolean | null;
  outputFile?: string | null;
  type: "usage";
  turn: number;
  inputTokens: number;
  outputTokens: number;
  cachedInputTokens: number;
  cacheWriteTokens: number;
  reasoningTokens: number;
  totalTokens: number;
  contextTokens: number;
  contextWindow: number;
  costUsd?: number | null;
  estimated?: boolean | null;
}
