// One client: its session, what it waits for, and what it remembers for the SDK's callbacks.
import { CryptoEvent, sdk } from "./sdk.mjs";

const TICK_MS = 20;
const LIMIT_MS = 60_000;

export class Client {
  constructor(matrix, given) {
    this.matrix = matrix;
    this.password = given.password;
    this.secretKeys = new Map(); // key id → bytes; "" → for every id
    this.verifications = new Map(); // transaction id → Verification
  }

  get crypto() {
    return this.matrix.getCrypto();
  }

  whoami() {
    return { user_id: this.matrix.getUserId(), device_id: this.matrix.getDeviceId(), access_token: this.matrix.getAccessToken() };
  }

  room(roomId) {
    const room = this.matrix.getRoom(roomId);
    if (!room) {
      throw new Error(`room ${roomId} is not known`);
    }
    return room;
  }

  // Answers user-interactive authentication by the account's password.
  authenticate = async (request) => {
    const stage = { type: "m.login.password", password: this.password };
    const identifier = { type: "m.id.user", user: this.matrix.getUserId() };
    try {
      return await request(null);
    } catch (error) {
      if (!error.data?.session) {
        throw error;
      }
      return await request({ ...stage, identifier, session: error.data.session });
    }
  };

  secretKey = async ({ keys }) => {
    for (const id of Object.keys(keys)) {
      const key = this.secretKeys.get(id) ?? this.secretKeys.get("");
      if (key) {
        return [id, key];
      }
    }
    return null;
  };
}

// Waits until `check` gives something other than null, undefined or false.
export async function until(what, check, limit = LIMIT_MS) {
  const end = Date.now() + limit;
  for (;;) {
    const found = await check();
    if (found !== null && found !== undefined && found !== false) {
      return found;
    }
    if (Date.now() > end) {
      throw new Error(`${what}: not within ${limit / 1000} s`);
    }
    await new Promise((resolve) => setTimeout(resolve, TICK_MS));
  }
}

// Logs in with a password, or goes on with a session that was made elsewhere; then encryption is ready, nothing is synced.
export async function open(given) {
  const { homeserver: baseUrl, user_id: userId, password } = given;
  let { device_id: deviceId, access_token: accessToken } = given;
  if (!accessToken) {
    const login = sdk.createClient({ baseUrl });
    const identifier = { type: "m.id.user", user: userId };
    const answer = await login.loginRequest({ type: "m.login.password", identifier, password, device_id: deviceId });
    ({ device_id: deviceId, access_token: accessToken } = answer);
  }
  let client;
  const cryptoCallbacks = {
    getSecretStorageKey: (...words) => client.secretKey(...words),
    cacheSecretStorageKey: (id, _, key) => client.secretKeys.set(id, key),
  };
  const matrix = sdk.createClient({
    baseUrl,
    userId,
    deviceId,
    accessToken,
    cryptoCallbacks,
    useAuthorizationHeader: true,
    verificationMethods: given.verification_methods,
  });
  client = new Client(matrix, given);
  await matrix.initRustCrypto({ useIndexedDB: false });
  // By default the SDK lets up to 10 s go by before it uploads to the backup.
  const { backupManager } = client.crypto;
  const upload = backupManager.backupKeysLoop;
  backupManager.backupKeysLoop = (limit = 0) => upload.call(backupManager, limit);
  const { Verification } = await import("./verification.mjs");
  matrix.on(CryptoEvent.VerificationRequestReceived, (request) => new Verification(client, request));
  return client;
}
