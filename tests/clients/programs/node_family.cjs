// node-zklib or a package made of it: node node_family.cjs LIBRARY HOST PORT tcp|udp KEY.
const [library, host, port, way] = process.argv.slice(2);
const Client = require(library);
const TIMEOUT_MS = 8000;
const CMD_USER_WRQ = 8;
const CMD_DELETE_USER = 18;
const ACK_OK = 2000;
const results = {};

async function attempt(name, operation) {
  try {
    const value = await operation();
    results[name] = { value: value === undefined ? null : value };
  } catch (error) {
    results[name] = { error: String((error && error.message) || (error && error.err) || error) };
  }
}

async function connected() {
  const client = new Client(host, Number(port), TIMEOUT_MS, 0);
  const udp = client.zudp || client.judp;
  if (way === "udp" && udp) {
    // These never fall back to UDP themselves: their own error class hides the code that they look for.
    await udp.createSocket();
    await udp.connect();
    client.connectionType = "udp";
  } else {
    await client.createSocket(() => {}, () => {});
  }
  return client;
}

// The libraries without setUser have executeCmd for it, which is as public.
function record(uid, userId, name) {
  const bytes = Buffer.alloc(72);
  bytes.writeUInt16LE(uid, 0);
  bytes.write("1234", 3);
  bytes.write(name, 11);
  bytes.write(userId, 48);
  return bytes;
}

const code = (reply) => reply.readUInt16LE(0);
const text = (value) => String(value).replace(/\0.*$/, "").trim();
const clock = (value) => new Date(value).toISOString().slice(0, 19);

async function setUser(client, uid, userId, name) {
  const wire = client.ztcp || client.zklibTcp || client.jtcp;
  if (wire.setUser) return code(await wire.setUser(uid, userId, name, "1234", 0, 0));
  return code(await client.executeCmd(CMD_USER_WRQ, record(uid, userId, name)));
}

async function deleteUser(client, uid) {
  if (client.deleteUser) return code(await client.deleteUser(uid));
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(uid);
  return code(await client.executeCmd(CMD_DELETE_USER, bytes));
}

// Each on a connection of its own: these clients leave listeners behind that swallow later answers.
async function once(work) {
  const client = await connected();
  try {
    return await work(client);
  } finally {
    await client.disconnect();
  }
}

async function users(client) {
  const { data, err } = await client.getUsers();
  if (err) throw err;
  const last = data[data.length - 1];
  return { count: data.length, uid: last.uid, user_id: text(last.userId || last.user_id), name: text(last.name) };
}

// By UDP they know no more of a user than the number and the name.
async function usersByUdp(client) {
  const { data, err } = await client.getUsers();
  if (err) throw err;
  const last = data[data.length - 1];
  return { count: data.length, uid: last.uid, name: text(last.name) };
}

async function attendance(client) {
  const { data, err } = await client.getAttendances();
  if (err) throw err;
  const first = data[0];
  const time = first.recordTime || first.record_time;
  return { count: data.length, user_id: text(first.deviceUserId || first.user_id || first.userId), time: clock(time) };
}

async function sizes(client) {
  const told = await client.getInfo();
  return { users: told.userCounts, records: told.logCounts };
}

async function punch(client) {
  const seen = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("no punch")), TIMEOUT_MS);
    client.getRealTimeLogs(resolve);
  });
  console.log("\nREADY");
  const { userId, attTime } = await seen;
  return { user_id: text(userId), time: clock(attTime) };
}

async function main() {
  const udp = way === "udp";
  await attempt("connect", () => once((client) => client.connectionType === way));
  await attempt("sizes", () => once(sizes));
  await attempt("users", () => once(udp ? usersByUdp : users));
  await attempt("attendance", () => once(attendance));
  await attempt("disable", () => once(async (client) => code(await client.disableDevice()) === ACK_OK));
  if (!udp) {
    if (Client.prototype.getSerialNumber) {
      await attempt("serial number", () => once(async (client) => text(await client.getSerialNumber())));
    }
    if (Client.prototype.getTime) {
      await attempt("clock", () => once(async (client) => clock(await client.getTime())));
    }
    await attempt("write user", () => once(async (client) => (await setUser(client, 200, "2200", "Ana")) === ACK_OK));
    await attempt("delete user", () => once(async (client) => (await deleteUser(client, 2)) === ACK_OK));
  }
  await attempt("enable", () => once(async (client) => code(await client.enableDevice()) === ACK_OK));
  await attempt("punch", () => once(punch));
  await attempt("disconnect", () => once(() => true));
}

main().then(() => {
  console.log("\nRESULT " + JSON.stringify(results));
  process.exit(0);
});
