// Starts a run at the address given, and prints the type of each event as it comes.
import { Client } from "../../clients/typescript/agent-runtime.ts";

const client = new Client({ baseUrl: process.argv[2]!, apiKey: process.argv[3] ?? null });
const run = client.run({ prompt: "go" });
for await (const event of run) console.log(`${event.seq} ${event.type}`);
const again = await client.getRun(run.runId);
const { data } = await client.listRuns({ threadId: run.threadId });
console.log(run.complete?.status, again["output"], data.length);
