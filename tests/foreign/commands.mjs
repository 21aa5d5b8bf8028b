// All that a test can tell a client to do.
import { roomCommands } from "./rooms.mjs";
import { trustCommands } from "./trust.mjs";
import { verificationCommands } from "./verification.mjs";

export { open } from "./client.mjs";
export const commands = { ...roomCommands, ...trustCommands, ...verificationCommands };
