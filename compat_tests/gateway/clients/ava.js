// As much of npm's ava as the tests of npm's zookeeper use, on node's own test runner.
const assert = require("node:assert");
const run = require("node:test");

const t = {
  is: (a, b) => assert.ok(Object.is(a, b), `${a} is not ${b}`),
  not: (a, b) => assert.ok(!Object.is(a, b), `it is ${b}`),
  true: (a) => assert.strictEqual(a, true),
  deepEqual: assert.deepStrictEqual,
  pass: () => {},
  fail: assert.fail,
};

exports.default = (name, body) => run(name, () => body(t));
