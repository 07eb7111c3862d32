// One npm client against one terminal: node stranger.cjs LIBRARY HOST PORT tcp|udp.
// Prints "READY" once it listens for punches, and one line "RESULT {json}" at the end.
const [library, host, port, way] = process.argv.slice(2);
const Client = require(library);
const TIMEOUT_MS = 5000;
const CMD_USER_WRQ = 8;
const CMD_DELETE_USER = 18;
const ACK_OK = 2000;

async function connected() {
  const client = new Client(host, Number(port), TIMEOUT_MS, 0);
  if (way === "udp" && client.zudp) {
    // zkteco-js never falls back to UDP itself: its own error class hides the code that it looks for.
    await client.zudp.createSocket();
    await client.zudp.connect();
    client.connectionType = "udp";
  } else {
    await client.createSocket((error) => console.error(error), () => {});
  }
  return client;
}

// The two libraries without setUser have executeCmd for it, which is as public.
function record(uid, userId, name) {
  const bytes = Buffer.alloc(72);
  bytes.writeUInt16LE(uid, 0);
  bytes.write("1234", 3);
  bytes.write(name, 11);
  bytes.write(userId, 48);
  return bytes;
}

const code = (reply) => reply.readUInt16LE(0);

function rows(answer) {
  const first = answer.data[0];
  const time = first.recordTime || first.record_time;
  return {
    count: answer.data.length,
    user: String(first.deviceUserId || first.user_id || first.userId),
    time: time && new Date(time).toISOString(),
    error: answer.err ? String(answer.err) : null,
  };
}

async function setUser(client, uid, userId, name) {
  const wire = client.ztcp || client.zklibTcp;
  if (wire.setUser) return code(await wire.setUser(uid, userId, name, "1234", 0, 0));
  return code(await client.executeCmd(CMD_USER_WRQ, record(uid, userId, name)));
}

async function deleteUser(client, uid) {
  if (client.deleteUser) return code(await client.deleteUser(uid));
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(uid);
  return code(await client.executeCmd(CMD_DELETE_USER, bytes));
}

async function readAndWrite(result) {
  const client = await connected();
  result.way = client.connectionType;
  result.info = await client.getInfo();
  result.disabled = code(await client.disableDevice()) === ACK_OK;
  if (result.way === "tcp") {
    result.set = await setUser(client, 2900, "909", "Npm");
    result.deleted = await deleteUser(client, 1);
    result.deletedAgain = await deleteUser(client, 1);
  }
  result.enabled = code(await client.enableDevice()) === ACK_OK;
  await client.disconnect();
}

// Each download on a connection of its own: these clients leave a listener behind that swallows later answers.
async function download(method) {
  const client = await connected();
  const answer = await client[method]();
  await client.disconnect();
  return rows(answer);
}

async function watch(result) {
  const client = await connected();
  const punch = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("no punch")), TIMEOUT_MS);
    client.getRealTimeLogs(resolve);
  });
  console.log("READY");
  const seen = await punch;
  result.punch = { user: String(seen.userId), time: seen.attTime.toISOString() };
  await client.disconnect();
}

async function main() {
  const result = {};
  await readAndWrite(result);
  result.users = await download("getUsers");
  result.attendance = await download("getAttendances");
  await watch(result);
  console.log("RESULT " + JSON.stringify(result));
}

main().then(() => process.exit(0), (error) => { console.error(error); process.exit(1); });
