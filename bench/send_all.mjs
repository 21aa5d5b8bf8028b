// What bot_send.mjs and js_send.mjs share: URL COUNT ROOM… of their command lines, and the timing.
const [url, count, ...rooms] = process.argv.slice(2);
const total = Number(count);

export const baseUrl = url;

function content(number) {
    const body = `number ${number}, as long as what people say to each other in a room`;
    return { msgtype: "m.text", body, "m.mentions": {} };
}

function tell(name, start) {
    const seconds = (performance.now() - start) / 1000;
    console.log(JSON.stringify({ name, per_second: total / seconds }));
}

/** `send(room, content)`: one after the other in the first room, then in all rooms side by side. */
export async function sendAll(send) {
    const inRoom = async (room, first, step) => {
        for (let number = first; number < total; number += step) await send(room, content(number));
    };
    await send(rooms[0], content(0));
    let start = performance.now();
    await inRoom(rooms[0], 0, 1);
    tell("one by one", start);
    start = performance.now();
    await Promise.all(rooms.map((room, at) => inRoom(room, at, rooms.length)));
    tell("parallel", start);
    process.exit(0);
}
