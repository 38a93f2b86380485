// Clients of node itself: the documented loop over fetch, EventSource, and WebSocket. Prints what each has received.
const base = process.argv[2];

// the loop of the documentation: the body is split at blank lines
const response = await fetch(`${base}/v1/run`, { method: "POST", body: JSON.stringify({ prompt: "go" }) });
const reader = response.body.getReader();
const decoder = new TextDecoder();
const types = [];
let buffer = "";
for (;;) {
  const { done, value } = await reader.read();
  if (done) break;
  buffer += decoder.decode(value, { stream: true });
  const pieces = buffer.split("\n\n");
  buffer = pieces.pop();
  for (const piece of pieces) {
    const lines = piece.split("\n");
    const type = lines.find((line) => line.startsWith("event: "))?.slice(7);
    const data = lines.find((line) => line.startsWith("data: "))?.slice(6);
    if (type && JSON.parse(data).type === type) types.push(type);
  }
}
const run = response.headers.get("x-run-id");

const byEventSource = await new Promise((resolve) => {
  const seen = [];
  const source = new EventSource(`${base}/v1/runs/${run}/events`);
  for (const type of new Set(types)) {
    source.addEventListener(type, (event) => {
      seen.push(type);
      if (type !== "complete") return;
      source.close();
      resolve([...seen, event.lastEventId]);
    });
  }
});

const bySocket = await new Promise((resolve) => {
  const seen = [];
  const socket = new WebSocket(`${base.replace("http", "ws")}/v1/run/code-assistant/stream/${run}`);
  socket.onmessage = (event) => seen.push(JSON.parse(event.data).type);
  socket.onclose = (event) => resolve([...seen, event.code]);
});
console.log(JSON.stringify({ types, byEventSource, bySocket }));
