// Everybody on a terminal, as zkteco-js reads them: node people.cjs LIBRARY HOST PORT tcp KEY.
const [library, host, port] = process.argv.slice(2);
const Client = require(library);

async function main() {
  const client = new Client(host, Number(port), 8000, 0);
  await client.createSocket(() => {}, () => {});
  const { data } = await client.getUsers();
  const people = data.map(({ uid, userId, name, password, role, cardno }) => ({
    uid, user_id: userId, name, password, privilege: role, card: cardno,
  }));
  await client.disconnect();
  console.log("\nRESULT " + JSON.stringify({ people }));
  process.exit(0);
}

main();
