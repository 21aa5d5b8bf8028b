// Verifications, each known by its transaction id (in rooms: the request's event id).
import { until } from "./client.mjs";
import { CryptoEvent, VerificationPhase, VerifierEvent, nameOf } from "./sdk.mjs";

export class Verification {
  constructor(client, request) {
    this.request = request;
    this.sas = null;
    this.qr = null;
    this.failure = null;
    this.watched = null;
    client.verifications.set(request.transactionId, this);
    request.on("change", () => this.watch());
    this.watch();
  }

  // Takes up the verifier, whoever has started it, as soon as there is one.
  watch() {
    const verifier = this.request.verifier;
    if (verifier && verifier !== this.watched) {
      this.watched = verifier;
      verifier.on(VerifierEvent.ShowSas, (sas) => (this.sas = sas));
      verifier.on(VerifierEvent.ShowReciprocateQr, (qr) => (this.qr = qr));
      this.sas = verifier.getShowSasCallbacks();
      this.qr = verifier.getReciprocateQrCodeCallbacks();
    }
  }

  // Sends this side's part of the chosen method; for SAS that accepts the other's start.
  verify() {
    this.watch();
    this.watched.verify().catch((error) => (this.failure = String(error?.message ?? error)));
  }

  state() {
    const { request } = this;
    return {
      verification_id: request.transactionId,
      room_id: request.roomId ?? null,
      user_id: request.otherUserId,
      device_id: request.otherDeviceId ?? null,
      phase: nameOf(VerificationPhase, request.phase),
      by_me: request.initiatedByMe,
      own: request.isSelfVerification,
      method: request.chosenMethod,
      emoji: this.sas?.sas.emoji ?? null,
      decimals: this.sas?.sas.decimal ?? null,
      scanned: this.qr !== null,
      cancel_code: request.cancellationCode,
      cancelled_by: request.cancellingUserId ?? null,
      failure: this.failure,
    };
  }
}

function find(client, { verification_id }) {
  const found = client.verifications.get(verification_id);
  if (!found) {
    throw new Error(`no verification ${verification_id}`);
  }
  return found;
}

// With a device: to that device. With a room: in it. With neither: to all one's own other devices.
async function request_verification(client, { user_id, device_id, room_id }) {
  let request;
  if (room_id) {
    request = await client.crypto.requestVerificationDM(user_id, room_id);
  } else if (device_id) {
    await client.crypto.getUserDeviceInfo([user_id], true);
    request = await client.crypto.requestDeviceVerification(user_id, device_id);
  } else {
    request = await client.crypto.requestOwnUserVerification();
  }
  return new Verification(client, request).state();
}

// The newest verification with somebody, or the one with this id; once it is in one of the phases, if any are named.
async function wait_verification(client, { verification_id, user_id, phases, has, timeout_ms }) {
  const is_it = (v) => (verification_id ? v.request.transactionId === verification_id : v.request.otherUserId === user_id);
  const in_phase = (v) => !phases || phases.includes(nameOf(VerificationPhase, v.request.phase));
  const complete = (v) => !has || v.state()[has] !== null;
  const all = () => [...client.verifications.values()];
  const describe = () => JSON.stringify(all().map((v) => v.state()));
  const check = () => all().findLast((v) => is_it(v) && in_phase(v) && complete(v));
  try {
    return (await until(`verification ${verification_id ?? user_id} ${phases ?? ""} ${has ?? ""}`, check, timeout_ms)).state();
  } catch (error) {
    throw new Error(`${error.message}; there are ${describe()}`);
  }
}

async function accept_verification(client, given) {
  await find(client, given).request.accept();
}

// Starts SAS; also answers the other side's start.
async function start_sas(client, given) {
  const verification = find(client, given);
  if (!verification.request.verifier) {
    await verification.request.startVerification("m.sas.v1");
  }
  verification.verify();
}

async function confirm_verification(client, given) {
  const { sas, qr } = find(client, given);
  await (sas ?? qr).confirm();
}

function mismatch(client, given) {
  find(client, given).sas.mismatch();
}

async function cancel_verification(client, given) {
  await find(client, given).request.cancel();
}

// What a QR code of this side holds, as base64.
async function show_qr(client, given) {
  const bytes = await find(client, given).request.generateQRCode();
  return bytes ? Buffer.from(bytes).toString("base64") : null;
}

async function scan_qr(client, { verification_id, data }) {
  const verification = find(client, { verification_id });
  await verification.request.scanQRCode(new Uint8ClampedArray(Buffer.from(data, "base64")));
  verification.verify();
}

export const verificationCommands = {
  request_verification,
  wait_verification,
  accept_verification,
  start_sas,
  confirm_verification,
  mismatch,
  cancel_verification,
  show_qr,
  scan_qr,
};
