// sending.c with matrix-bot-sdk: bot_send.js URL COUNT ROOM…; keeps nothing.
"use strict";
const Module = require("node:module");

// Its crypto is a binary that its package downloads when it is installed; here nothing is encrypted.
const nothing = new Proxy(class {}, { get: (target, key) => (key === "prototype" ? target.prototype : nothing) });
const load = Module._load;
Module._load = function (name, ...rest) {
    return name === "@matrix-org/matrix-sdk-crypto-nodejs" ? nothing : load.call(this, name, ...rest);
};
const { LogLevel, LogService, MatrixClient, MemoryStorageProvider } = require("matrix-bot-sdk");

LogService.setLevel(LogLevel.ERROR);

const [url, count, ...rooms] = process.argv.slice(2);
const total = Number(count);
const client = new MatrixClient(url, process.env.MATRIX_TOKEN, new MemoryStorageProvider());

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

async function main() {
    await send(rooms[0], 0);
    let start = performance.now();
    await sendAll(rooms[0], 0, 1);
    tell("sequential", start);
    start = performance.now();
    await Promise.all(rooms.map((room, at) => sendAll(room, at, rooms.length)));
    tell("parallel", start);
    process.exit(0);
}

main();
