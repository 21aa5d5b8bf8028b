// matrix-js-sdk and its crypto, from the folder that packaging/bootstrap has installed them into.
import { pathToFileURL } from "node:url";

const modules = pathToFileURL(`${process.env.FOREIGN_MODULES}/`);
const load = (path) => import(new URL(path, modules));

export const sdk = await load("matrix-js-sdk/lib/index.js");
export const {
  AllDevicesIsolationMode,
  CryptoEvent,
  EventShieldColour,
  EventShieldReason,
  OnlySignedDevicesIsolationMode,
  VerificationPhase,
  VerifierEvent,
  decodeRecoveryKey,
  deriveRecoveryKeyFromPassphrase,
} = await load("matrix-js-sdk/lib/crypto-api/index.js");
export const { OlmMachine, UserId } = await load("@matrix-org/matrix-sdk-crypto-wasm/node.mjs");

// The name of a number in one of TypeScript's enums; the others are names already.
export const nameOf = (names, value) => (value === null || value === undefined ? null : (names[value] ?? value));
