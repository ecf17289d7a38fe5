// MQTT.js against the MQTT end point: HOST PORT, or a ws:// address. Both versions; what it was told it asserts. MQTT_USER and MQTT_PASSWORD are
// who it is, if they are set. Prints an OK line for each version.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
// NODE_PATH says where the client is.
const mqtt = createRequire((process.env.NODE_PATH ?? process.cwd()) + "/")("mqtt");

const [host, port] = process.argv.slice(2);
const address = host.startsWith("ws") ? host : `mqtt://${host}:${port}`;
const run = `js-${process.pid}`;
const top = `plant/${run}`;
const who = process.env.MQTT_USER ? { username: process.env.MQTT_USER, password: process.env.MQTT_PASSWORD } : {};

for (const protocolVersion of [4, 5]) {
  const options = { ...who, protocolVersion, reconnectPeriod: 0, connectTimeout: 60_000 };
  const reader = await mqtt.connectAsync(address, { ...options, clientId: `${run}-r` });
  const device = await mqtt.connectAsync(address, { ...options, clientId: `${run}-d` });
  for (const qos of [0, 1, 2]) {
    const got = [];
    const all = new Promise((done) =>
      reader.on("message", (topic, payload) => {
        if (topic.endsWith(`/${qos}`) && got.push(Number(payload)) === 100) done();
      }),
    );
    await reader.subscribeAsync(`${top}/+/${qos}`, { qos });
    await Promise.all(Array.from({ length: 100 }, (_, n) => device.publishAsync(`${top}/a/${qos}`, `${n}`, { qos })));
    await all;
    assert.deepEqual(got, Array.from({ length: 100 }, (_, n) => n), `QoS ${qos} of ${protocolVersion}`);
    reader.removeAllListeners("message");
  }
  if (protocolVersion === 5) {
    await assert.rejects(device.publishAsync("nowhere/x", "x", { qos: 1 }), /./);
  }
  await reader.endAsync();
  await device.endAsync();
  console.log(`OK MQTT.js ${protocolVersion}`);
}
