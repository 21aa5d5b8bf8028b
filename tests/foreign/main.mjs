// Matrix clients that are none of ours, for tests to talk with: matrix-js-sdk with its Rust crypto.
//
// One JSON object a line. In: {"id", "client", "command", "arguments"}; `client` is any name, and "open" makes it.
// Out, in the order in which commands end: {"id", "ok": true, "result"} or {"id", "ok": false, "error", "code"}.
// The end of the input ends the process. What the SDK logs goes to stderr.
import readline from "node:readline";
import { inspect } from "node:util";

const log = (...words) => process.stderr.write(words.map((w) => (typeof w === "string" ? w : inspect(w))).join(" ") + "\n");
for (const level of ["trace", "debug", "info", "log", "warn", "error"]) {
  console[level] = log;
}
const { commands, open } = await import("./commands.mjs");

const clients = new Map();

async function run({ client: name, command, arguments: given = {} }) {
  if (command === "open") {
    clients.set(name, await open(given));
    return clients.get(name).whoami();
  }
  const client = clients.get(name);
  const work = commands[command];
  if (!client || !work) {
    throw new Error(client ? `no command ${command}` : `no client ${name}`);
  }
  return await work(client, given);
}

async function answer(line) {
  const message = JSON.parse(line);
  let reply;
  try {
    reply = { id: message.id, ok: true, result: (await run(message)) ?? null };
  } catch (error) {
    log(`${message.command} failed:`, error);
    reply = { id: message.id, ok: false, error: String(error?.message ?? error), code: error?.errcode ?? error?.name ?? "" };
  }
  process.stdout.write(JSON.stringify(reply) + "\n");
}

// A rejection that nobody handles is a request of the SDK's own that failed: for the log, not a reason to end.
process.on("unhandledRejection", (error) => log("unhandled:", error));
readline.createInterface({ input: process.stdin }).on("line", answer).on("close", () => process.exit(0));
process.stdout.write(JSON.stringify({ id: 0, ok: true, result: "ready" }) + "\n");
