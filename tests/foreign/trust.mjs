// Cross-signing, secret storage, key backup, key files, and whom the client trusts.
import { until } from "./client.mjs";
import {
  AllDevicesIsolationMode,
  OlmMachine,
  OnlySignedDevicesIsolationMode,
  UserId,
  decodeRecoveryKey,
  deriveRecoveryKeyFromPassphrase,
} from "./sdk.mjs";

async function bootstrap_cross_signing(client, { reset = false }) {
  // Secrets are only taken for an identity that is known.
  await client.crypto.userHasCrossSigningKeys(client.matrix.getUserId(), true);
  await client.crypto.bootstrapCrossSigning({
    setupNewCrossSigning: reset,
    authUploadDeviceSigningKeys: client.authenticate,
  });
}

async function cross_signing_status(client) {
  const [status, ready] = [await client.crypto.getCrossSigningStatus(), await client.crypto.isCrossSigningReady()];
  const keys = {};
  for (const name of ["master", "self_signing", "user_signing"]) {
    keys[name] = await client.crypto.getCrossSigningKeyId(name);
  }
  return { ready, keys, ...status };
}

// New secret storage that holds what there is to hold; gives the recovery key, which later calls need not be told.
async function bootstrap_secret_storage(client, { passphrase, backup = false, reset = true }) {
  const made = await client.crypto.createRecoveryKeyFromPassphrase(passphrase);
  client.secretKeys.set("", made.privateKey);
  await client.crypto.bootstrapSecretStorage({
    createSecretStorageKey: async () => made,
    setupNewSecretStorage: reset,
    setupNewKeyBackup: backup,
  });
  return made.encodedPrivateKey;
}

// From now on this key opens the secret storage.
async function open_secret_storage(client, { recovery_key, passphrase }) {
  const [id, info] = await client.matrix.secretStorage.getKey();
  const { salt, iterations, bits } = info.passphrase ?? {};
  const key = passphrase
    ? await deriveRecoveryKeyFromPassphrase(passphrase, salt, iterations, bits)
    : decodeRecoveryKey(recovery_key);
  if (!(await client.matrix.secretStorage.checkKey(key, info))) {
    throw new Error("the key does not open the secret storage");
  }
  client.secretKeys.set(id, key);
}

const is_secret_storage_ready = (client) => client.crypto.isSecretStorageReady();
const get_secret = (client, { name }) => client.matrix.secretStorage.get(name);
const put_secret = (client, { name, value }) => client.matrix.secretStorage.store(name, value);
const enable_backup = (client) => client.crypto.checkKeyBackupAndEnable();
const reset_backup = (client) => client.crypto.resetKeyBackup();
const load_backup_key = (client) => client.crypto.loadSessionBackupPrivateKeyFromSecretStorage();
const restore_backup = (client) => client.crypto.restoreKeyBackup({});
const delete_backup = (client, { version }) => client.crypto.deleteKeyBackupVersion(version);

// Uploads what the backup lacks, and waits for it.
async function upload_backup(client) {
  const { backupManager } = client.crypto;
  await until("an earlier upload", () => !backupManager.backupKeysLoopRunning);
  await backupManager.backupKeysLoop();
}

async function backup_status(client) {
  // The SDK's own getKeyBackupInfo answers from memory.
  const info = await client.crypto.backupManager.requestKeyBackupVersion();
  const trust = info && (await client.crypto.isKeyBackupTrusted(info));
  return { info, trust, active_version: await client.crypto.getActiveSessionBackupVersion() };
}

// The client's room keys: JSON text, or with a passphrase the file that Element exports.
async function export_keys(client, { passphrase, rounds = 1000 }) {
  const keys = await client.crypto.exportRoomKeysAsJson();
  return passphrase ? OlmMachine.encryptExportedRoomKeys(keys, passphrase, rounds) : keys;
}

async function import_keys(client, { keys, passphrase }) {
  const text = passphrase ? OlmMachine.decryptExportedRoomKeys(keys, passphrase) : keys;
  await client.crypto.importRoomKeysAsJson(text);
  return JSON.parse(text).length;
}

async function devices(client, { user_id }) {
  const found = await client.crypto.getUserDeviceInfo([user_id], true);
  return [...(found.get(user_id)?.values() ?? [])].map((device) => ({
    device_id: device.deviceId,
    display_name: device.displayName ?? null,
    keys: Object.fromEntries(device.keys),
    algorithms: device.algorithms,
  }));
}

// Has the homeserver asked for a user's keys now; the SDK ignores requests for verification of devices it does not know.
async function query_keys(client, { user_id }) {
  const request = client.crypto.olmMachine.queryKeysForUsers([new UserId(user_id)]);
  await client.crypto.outgoingRequestProcessor.makeOutgoingRequest(request);
}

async function device_status(client, { user_id, device_id }) {
  await client.crypto.getUserDeviceInfo([user_id], true);
  const status = await client.crypto.getDeviceVerificationStatus(user_id, device_id);
  return (
    status && {
      verified: status.isVerified(),
      signed_by_owner: status.signedByOwner,
      cross_signing_verified: status.crossSigningVerified,
      locally_verified: status.localVerified,
    }
  );
}

async function user_status(client, { user_id }) {
  const has_keys = await client.crypto.userHasCrossSigningKeys(user_id, true);
  const status = await client.crypto.getUserVerificationStatus(user_id);
  return {
    has_keys,
    verified: status.isVerified(),
    was_verified: status.wasCrossSigningVerified(),
    needs_approval: status.needsUserApproval,
  };
}

const set_device_verified = (client, { user_id, device_id, verified = true }) =>
  client.crypto.setDeviceVerified(user_id, device_id, verified);
const cross_sign_device = (client, { device_id }) => client.crypto.crossSignDevice(device_id);
const pin_identity = (client, { user_id }) => client.crypto.pinCurrentUserIdentity(user_id);
const withdraw_verification = (client, { user_id }) => client.crypto.withdrawVerificationRequirement(user_id);

// Takes its user's identity for verified, as after a verification, and asks the other devices for its secrets.
async function request_secrets(client) {
  const { olmMachine, outgoingRequestProcessor, outgoingRequestsManager } = client.crypto;
  const identity = await olmMachine.getIdentity(new UserId(client.matrix.getUserId()));
  await outgoingRequestProcessor.makeOutgoingRequest(await identity.verify());
  await (await olmMachine.requestMissingSecretsIfNeeded());
  await outgoingRequestsManager.doProcessOutgoingRequests();
}

// Whether only cross-signed devices get keys and are heard.
function isolate_devices(client, { only_signed }) {
  client.crypto.setDeviceIsolationMode(only_signed ? new OnlySignedDevicesIsolationMode() : new AllDevicesIsolationMode(false));
}

export const trustCommands = {
  bootstrap_cross_signing,
  cross_signing_status,
  bootstrap_secret_storage,
  open_secret_storage,
  is_secret_storage_ready,
  get_secret,
  put_secret,
  enable_backup,
  reset_backup,
  load_backup_key,
  restore_backup,
  upload_backup,
  delete_backup,
  backup_status,
  export_keys,
  import_keys,
  devices,
  query_keys,
  device_status,
  user_status,
  set_device_verified,
  cross_sign_device,
  pin_identity,
  withdraw_verification,
  isolate_devices,
  request_secrets,
};
