// sending.c with matrix-js-sdk: js_send.mjs URL COUNT ROOM…; keeps nothing.
import { createRequire } from "node:module";

const { createClient } = createRequire(`${process.env.NODE_PATH}/`)("matrix-js-sdk");
const { logger } = createRequire(`${process.env.NODE_PATH}/`)("matrix-js-sdk/lib/logger.js");

logger.disableAll?.();
const [baseUrl, count, ...rooms] = process.argv.slice(2);
const total = Number(count);
const client = createClient({
    baseUrl,
    accessToken: process.env.MATRIX_TOKEN,
    userId: process.env.MATRIX_USER_ID,
    deviceId: "BENCH",
});

const send = (room, number) =>
    client.sendMessage(room, {
        msgtype: "m.text",
        body: `number ${number}, as long as what people say to each other in a room`,
    });

async function sendAll(room, first, step) {
    for (let number = first; number < total; number += step) await send(room, number);
}

function tell(name, start) {
    const seconds = (performance.now() - start) / 1000;
    console.log(JSON.stringify({ name, per_second: total / seconds }));
}

await send(rooms[0], 0);
let start = performance.now();
await sendAll(rooms[0], 0, 1);
tell("sequential", start);
start = performance.now();
await Promise.all(rooms.map((room, at) => sendAll(room, at, rooms.length)));
tell("parallel", start);
process.exit(0);
