// syncing.c with matrix-bot-sdk: bot_sync.js URL EVENTS; prints seconds and peak MiB.
// bot_sync.js URL login|sync: as cold_start.c, prints its peak RSS in MiB.
"use strict";
const { readFileSync } = require("node:fs");
const Module = require("node:module");

// Its crypto is a binary that its package downloads when it is installed; here nothing is encrypted.
const nothing = new Proxy(class {}, { get: (target, key) => (key === "prototype" ? target.prototype : nothing) });
const load = Module._load;
Module._load = function (name, ...rest) {
    return name === "@matrix-org/matrix-sdk-crypto-nodejs" ? nothing : load.call(this, name, ...rest);
};
const { LogLevel, LogService, MatrixAuth, MatrixClient, MemoryStorageProvider } = require("matrix-bot-sdk");

LogService.setLevel(LogLevel.ERROR);

function peakMib() {
    return Number(/VmHWM:\s*(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) / 1024;
}

async function stream(url, wanted) {
    const client = new MatrixClient(url, "token", new MemoryStorageProvider());
    const start = process.hrtime.bigint();
    let got = 0;
    client.on("room.event", () => {
        if (++got === wanted) {
            const seconds = Number(process.hrtime.bigint() - start) / 1e9;
            console.log(JSON.stringify({ seconds, mib: peakMib() }));
            process.exit(0);
        }
    });
    await client.start();
}

async function coldStart(url, until) {
    const client = await new MatrixAuth(url).passwordLogin("bench", "bench");
    if (until === "sync") await client.doSync();
    console.log(peakMib().toFixed(1));
    process.exit(0);
}

const [url, what] = process.argv.slice(2);
if (what === "login" || what === "sync") coldStart(url, what);
else stream(url, Number(what));
