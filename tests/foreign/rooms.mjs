// Syncing, rooms and messages.
import { until } from "./client.mjs";
import { EventShieldColour, EventShieldReason, nameOf, sdk } from "./sdk.mjs";

const encryption = (settings) => ({
  type: "m.room.encryption",
  state_key: "",
  content: { algorithm: "m.megolm.v1.aes-sha2", ...settings },
});

async function start(client) {
  await client.matrix.startClient({ initialSyncLimit: 50 });
  await until("the first sync", () => client.matrix.isInitialSyncComplete());
}

async function logout(client) {
  await client.matrix.logout(true);
}

// The SDK lists a room before its crypto knows that it is encrypted, and would send in clear.
async function until_known(client, room_id) {
  const state = await client.matrix.roomState(room_id);
  await until(`room ${room_id}`, () => client.matrix.getRoom(room_id));
  if (state.some((event) => event.type === "m.room.encryption")) {
    await until(`encryption of ${room_id}`, () => client.crypto.isEncryptionEnabledInRoom(room_id));
  }
}

async function create_room(client, { encrypted = true, settings = {}, invite = [], ...more }) {
  const initial_state = [...(encrypted ? [encryption(settings)] : []), ...(more.initial_state ?? [])];
  const { room_id } = await client.matrix.createRoom({ preset: "private_chat", invite, ...more, initial_state });
  await until_known(client, room_id);
  return room_id;
}

async function enable_encryption(client, { room_id, settings = {} }) {
  const { type, content } = encryption(settings);
  await client.matrix.sendStateEvent(room_id, type, content, "");
  await until("encryption", () => client.crypto.isEncryptionEnabledInRoom(room_id));
}

const is_encrypted = (client, { room_id }) => client.crypto.isEncryptionEnabledInRoom(room_id);
const invite = async (client, { room_id, user_id }) => void (await client.matrix.invite(room_id, user_id));
const leave = async (client, { room_id }) => void (await client.matrix.leave(room_id));
const kick = async (client, { room_id, user_id }) => void (await client.matrix.kick(room_id, user_id));

async function join(client, { room_id }) {
  await client.matrix.joinRoom(room_id);
  await wait_member(client, { room_id, user_id: client.matrix.getUserId() });
  await until_known(client, room_id);
}

async function wait_member(client, { room_id, user_id, membership = "join" }) {
  const is_so = () => client.matrix.getRoom(room_id)?.getMember(user_id)?.membership === membership;
  await until(`${user_id} ${membership}`, is_so);
}

// A text, or any event; gives its id.
async function send(client, { room_id, type = "m.room.message", body, content }) {
  const sent = await client.matrix.sendEvent(room_id, type, content ?? { msgtype: "m.text", body });
  return sent.event_id;
}

const send_state = async (client, { room_id, type, state_key = "", content }) =>
  (await client.matrix.sendStateEvent(room_id, type, content, state_key)).event_id;

async function describe(client, event) {
  const info = event.isEncrypted() ? await client.crypto.getEncryptionInfoForEvent(event) : null;
  return {
    event_id: event.getId(),
    room_id: event.getRoomId(),
    sender: event.getSender(),
    type: event.getType(),
    content: event.getContent(),
    wire_type: event.getWireType(),
    wire_content: event.getWireContent(),
    encrypted: event.isEncrypted(),
    failed: event.isDecryptionFailure(),
    reason: event.decryptionFailureReason,
    shield: info && nameOf(EventShieldColour, info.shieldColour),
    shield_reason: info && nameOf(EventShieldReason, info.shieldReason),
  };
}

const timeline = (client, room_id) => client.matrix.getRoom(room_id)?.getLiveTimeline().getEvents() ?? [];
const is_settled = (event) => !event.isBeingDecrypted() && !(event.isEncrypted() && event.shouldAttemptDecryption());

// The event with this id, or the newest with this body, once it is decrypted; with `failed`, once that cannot be done.
async function wait_message(client, { room_id, event_id, body, failed = false, timeout_ms }) {
  const is_it = (event) => (event_id ? event.getId() === event_id : event.getContent().body === body);
  const event = await until(
    `message ${event_id ?? body}`,
    () => timeline(client, room_id).findLast((e) => is_it(e) && is_settled(e) && e.isDecryptionFailure() === failed),
    timeout_ms,
  );
  return await describe(client, event);
}

async function messages(client, { room_id }) {
  return await Promise.all(timeline(client, room_id).map((event) => describe(client, event)));
}

// Fetches one event from the homeserver and decrypts it.
async function fetch_event(client, { room_id, event_id }) {
  const event = new sdk.MatrixEvent(await client.matrix.fetchRoomEvent(room_id, event_id));
  await client.matrix.decryptEventIfNeeded(event);
  return await describe(client, event);
}

async function paginate(client, { room_id, limit = 100 }) {
  await client.matrix.scrollback(client.room(room_id), limit);
}

const discard_session = (client, { room_id }) => client.crypto.forceDiscardSession(room_id);
const stop = (client) => client.matrix.stopClient();

export const roomCommands = {
  whoami: (client) => client.whoami(),
  start,
  stop,
  logout,
  create_room,
  enable_encryption,
  is_encrypted,
  invite,
  join,
  leave,
  kick,
  wait_member,
  send,
  send_state,
  wait_message,
  messages,
  fetch_event,
  paginate,
  discard_session,
};
