// Reads a stream that is cut at every 5th byte, in pieces of any size; prints "ok", or throws.
import assert from "node:assert/strict";
import { ApiError, Client, StreamLostError, type RunEvent } from "../../clients/typescript/agent-runtime.ts";

const envelope = (seq: number) => ({ seq, ts: "2026-01-01T00:00:00.000Z", runId: "r/1" });
const events = [0, 1, 2, 3, 4].map((seq) => ({
  ...envelope(seq),
  ...(seq === 4 ? { type: "complete", status: "completed" } : { type: "thinking", content: `é\u2028${seq}\r\n`, kind: "text" }),
}));
const frames = (after: number, newline: string) =>
  ": ping\n\nretry: 1000\n\n" +
  events
    .filter((event) => event.seq > after)
    .map((event) => `id: ${event.seq}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)
    .join("");

let requests: { method: string; url: URL; headers: Headers }[] = [];
let lengths: number[] = [];

function body(bytes: Uint8Array, piece: number, broken: boolean): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += piece) controller.enqueue(bytes.subarray(at, at + piece));
      if (broken) controller.error(new TypeError("reset"));
      else controller.close();
    },
  });
}

const respond = (newline: string): typeof fetch => async (url, init) => {
  const address = new URL(String(url));
  requests.push({ method: init!.method!, url: address, headers: new Headers(init!.headers) });
  const length = lengths.shift();
  const text = frames(Number(address.searchParams.get("after") ?? -1), newline).replaceAll("\n", newline);
  const bytes = new TextEncoder().encode(text).subarray(0, length);
  const headers = { "content-type": "text/event-stream", "x-run-id": "r/1", "x-thread-id": "t" };
  return new Response(body(bytes, 1 + (requests.length % 37), length !== undefined && length % 2 === 0), { headers });
};

async function read(client: Client, stream = client.run("go")): Promise<RunEvent[]> {
  const found: RunEvent[] = [];
  for await (const event of stream) found.push(event);
  return found;
}

const client = new Client({ baseUrl: "http://x/", apiKey: "k", retryDelay: 0 });
for (const newline of ["\n", "\r\n"]) {
  globalThis.fetch = respond(newline);
  const size = frames(-1, newline).length;
  for (let cut = 0; cut < size; cut += 5) {
    requests = [];
    lengths = [cut, 0, Math.floor(cut / 2)];
    assert.deepEqual(await read(client), events, `cut at ${cut}`);
    const posts = requests.filter((request) => request.method === "POST");
    assert.equal(new Set(posts.map((request) => request.headers.get("idempotency-key"))).size, 1);
    assert.ok(requests.every((request) => request.method === "POST" || request.url.pathname === "/v1/runs/r%2F1/events"));
    assert.ok(requests.every((request) => request.headers.get("authorization") === "Bearer k"));
  }
}
assert.deepEqual((await read(client, client.events("r/1", 2))).map((event) => event.seq), [3, 4]);

const refuse = (status: number, headers = {}) => {
  let count = 0;
  globalThis.fetch = async () => {
    count += 1;
    return Response.json({ error: { code: "some_code", message: "why" } }, { status, headers });
  };
  return () => count;
};
for (const status of [400, 401, 404, 409, 410, 422]) {
  const count = refuse(status);
  await assert.rejects(read(client), (error) => error instanceof ApiError && error.code === "some_code");
  assert.equal(count(), 1);
}
for (const status of [429, 500, 503]) {
  const count = refuse(status, { "retry-after": "0" });
  await assert.rejects(read(client), StreamLostError);
  assert.equal(count(), 11);
}

const abort = new AbortController();
globalThis.fetch = respond("\n");
lengths = [];
const stream = client.run("go", abort.signal);
await assert.rejects(async () => {
  for await (const _ of stream) abort.abort(new Error("enough"));
}, /enough/);
console.log("ok");
