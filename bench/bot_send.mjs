// sending.c with matrix-bot-sdk: bot_send.mjs URL COUNT ROOM…; keeps nothing.
import Module, { createRequire } from "node:module";
import { baseUrl, sendAll } from "./send_all.mjs";

// Its crypto is a binary that its package downloads when it is installed; here nothing is encrypted.
const nothing = new Proxy(class {}, { get: (target, key) => (key === "prototype" ? target.prototype : nothing) });
const load = Module._load;
Module._load = function (name, ...rest) {
    return name === "@matrix-org/matrix-sdk-crypto-nodejs" ? nothing : load.call(this, name, ...rest);
};
const require = createRequire(`${process.env.NODE_PATH}/`);
const { LogLevel, LogService, MatrixClient, MemoryStorageProvider } = require("matrix-bot-sdk");

LogService.setLevel(LogLevel.ERROR);
const client = new MatrixClient(baseUrl, process.env.MATRIX_TOKEN, new MemoryStorageProvider());

await sendAll((room, content) => client.sendMessage(room, content));
