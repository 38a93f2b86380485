// Reads the events of a run with the npm package `eventsource`, whose folder is the second argument.
// Prints one JSON array with the id and the type of each event, in the order in which they arrived.
import { createRequire } from "node:module";

const [, , address, folder] = process.argv;
const { EventSource } = createRequire(`${folder}/`)("eventsource");
const types = ["start", "thinking", "tool_call", "tool_result", "file_edit", "usage", "notice", "complete"];
const seen = [];
const alive = setInterval(() => {}, 60_000); // the package does not keep the process alive until it connects again
const source = new EventSource(address);
for (const type of types) {
  source.addEventListener(type, (event) => {
    seen.push([Number(event.lastEventId), type]);
    if (type !== "complete") return;
    source.close();
    clearInterval(alive);
    console.log(JSON.stringify(seen));
  });
}
source.addEventListener("error", (event) => {
  if (source.readyState !== EventSource.CLOSED) return; // the connection was lost
  console.error(event.message);
  process.exit(1);
});
