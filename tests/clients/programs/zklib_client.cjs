// npm's zklib, the oldest: node zklib_client.cjs LIBRARY HOST PORT udp KEY. Its TCP frames have a wrong length.
const [library, host, port, way] = process.argv.slice(2);
const Client = require(library);
const TIMEOUT_MS = 8000;
const results = {};

const options = { ip: host, port: Number(port), timeout: TIMEOUT_MS, connectionType: way, attendanceParser: "v6.60" };

// It takes 0 for a missing option, and binds to the port that it is given.
function freePort() {
  return new Promise((resolve) => {
    const socket = require("dgram").createSocket("udp4");
    socket.bind(0, () => {
      const { port } = socket.address();
      socket.close(() => resolve(port));
    });
  });
}

function call(client, method, ...args) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${method}: no answer`)), TIMEOUT_MS);
    client[method](...args, (error, value) => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve(value);
    });
  });
}

async function once(work) {
  const client = new Client({ ...options, inport: await freePort() });
  await call(client, "connect");
  try {
    return await work(client);
  } finally {
    await call(client, "disconnect");
  }
}

async function attempt(name, operation) {
  try {
    const value = await once(operation);
    results[name] = { value: value === undefined ? null : value };
  } catch (error) {
    results[name] = { error: String((error && error.message) || error) };
  }
}

const clock = (value) => new Date(value).toISOString().slice(0, 19);
const text = (value) => String(value).replace(/\0.*$/, "");

async function users(client) {
  const table = await call(client, "getUser");
  const last = table[table.length - 1];
  return { count: table.length, uid: last.uid, user_id: last.userid, name: last.name };
}

async function attendance(client) {
  const log = await call(client, "getAttendance");
  return { count: log.length, user_id: String(log[0].uid), time: clock(log[0].timestamp) };
}

async function punch(client) {
  const seen = new Promise((resolve, reject) => {
    setTimeout(() => reject(new Error("no punch")), TIMEOUT_MS);
    client.startMon({ onatt: (_error, told) => resolve(told), start: () => console.log("\nREADY") });
  });
  const { userid, timestamp } = await seen;
  return { user_id: String(userid), time: clock(timestamp) };
}

async function main() {
  await attempt("connect", () => true);
  await attempt("serial number", async (client) => text(await call(client, "serialNumber")));
  await attempt("clock", async (client) => clock(await call(client, "getTime")));
  await attempt("users", users);
  await attempt("attendance", attendance);
  await attempt("disable", async (client) => Boolean(await call(client, "disableDevice")));
  await attempt("write user", (client) => call(client, "setUser", 200, "1234", "Ana", 2200).then(() => true));
  await attempt("delete user", (client) => call(client, "delUser", 2).then(() => true));
  await attempt("enable", async (client) => Boolean(await call(client, "enableDevice")));
  await attempt("punch", punch);
  await attempt("set the clock", (client) => call(client, "setTime", new Date("2031-05-06T07:08:09Z")).then(() => true));
  await attempt("disconnect", () => true);
}

main().then(() => {
  console.log("\nRESULT " + JSON.stringify(results));
  process.exit(0);
});
