// sending.c with matrix-js-sdk: js_send.mjs URL COUNT ROOM…; keeps nothing.
import { createRequire } from "node:module";
import { baseUrl, sendAll } from "./send_all.mjs";

const require = createRequire(`${process.env.NODE_PATH}/`);
const { createClient } = require("matrix-js-sdk");
const { logger } = require("matrix-js-sdk/lib/logger.js");

logger.disableAll?.();
const client = createClient({
    baseUrl,
    accessToken: process.env.MATRIX_TOKEN,
    userId: process.env.MATRIX_USER_ID,
    deviceId: "BENCH",
});

await sendAll((room, content) => client.sendMessage(room, content));
