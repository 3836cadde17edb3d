// A tour of npm's node-zookeeper-client: node tour.js HOST:PORT. What it is told goes to the output.
const { promisify } = require("node:util");
const zookeeper = require("node-zookeeper-client");

const { ACL, CreateMode } = zookeeper;

async function connected(hosts) {
  const client = zookeeper.createClient(hosts, { sessionTimeout: 10000, retries: 2 });
  const up = new Promise((resolve) => client.once("connected", resolve));
  client.connect();
  await up;
  return client;
}

async function tour(hosts) {
  const client = await connected(hosts);
  const call = (name, ...args) =>
    new Promise((resolve) => client[name](...args, (error, ...results) => resolve(error ? [error.getName()] : results)));
  console.log(await call("mkdirp", "/js/a/b"));
  console.log(await call("create", "/js", Buffer.from("x")));
  console.log(await call("create", "/js/e-", Buffer.from("x"), CreateMode.EPHEMERAL_SEQUENTIAL));
  const changed = new Promise((resolve) => {
    client.getData("/js/a", (event) => resolve(event.toString()), () => {});
  });
  const [stat] = await call("setData", "/js/a", Buffer.from("two"), 0);
  console.log(stat.version, await changed);
  console.log((await call("getData", "/js/a"))[0].toString());
  console.log(await call("setData", "/js/a", Buffer.from("three"), 0));
  const gone = new Promise((resolve) => client.exists("/js/a/b", (event) => resolve(event.getName()), () => {}));
  const children = new Promise((resolve) => client.getChildren("/js/a", (event) => resolve(event.getName()), () => {}));
  console.log(await call("remove", "/js/a/b", -1), await gone, await children);
  const made = client.transaction().create("/js/t", Buffer.from("1")).setData("/js/t", Buffer.from("2"), 0).check("/js/t", 1);
  console.log(await promisify(made.commit.bind(made))().then((results) => results.length));
  const failing = client.transaction().create("/js/u").remove("/js/none", -1);
  await new Promise((resolve) => failing.commit((error) => resolve(console.log(error.getName()))));
  client.addAuthInfo("digest", Buffer.from("u:p"));
  console.log(await call("setACL", "/js/t", ACL.CREATOR_ALL_ACL, -1).then((results) => results.length));
  console.log((await call("getACL", "/js/t"))[0].map(String));
  const other = await connected(hosts);
  await new Promise((resolve) => other.getData("/js/t", (error) => resolve(console.log(error.getName()))));
  other.close();
  console.log((await call("listSubTreeBFS", "/js"))[0]);
  console.log(await call("removeRecursive", "/js"));
  const closed = new Promise((resolve) => client.once("disconnected", resolve));
  client.close();
  await closed;
}

tour(process.argv[2]).then(() => process.exit(0), (error) => { console.log(error); process.exit(1); });
