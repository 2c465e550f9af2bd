#!/usr/bin/env node
// An arm's controller in Node.js: many clients in one event loop, one of which moves the arm.
"use strict";

const net = require("node:net");
const { parseArgs } = require("node:util");

const LINE_LIMIT = 4096; // bytes: who sends a longer line is not the bridge
const WATCHDOG = 500; // milliseconds of silence after which the arm is halted, once a heartbeat has been heard

// YOUR ARM: fill in these two functions. The rest can stay as it is.

// MOVE THE ARM HERE: to x, y, z in millimetres in its base frame, with the gripper "open" or "closed".
// Begin the motion and return; do not wait for its end: the next command comes within some 20 ms, and leads on from
// wherever the arm is. For what the arm cannot do, throw new Error("out of reach: ...").
function move(x, y, z, gripper) {
  console.log(`move x=${decimal(x)} y=${decimal(y)} z=${decimal(z)} gripper=${gripper}`);
}

// HALT THE ARM HERE: where it is, with the gripper as it is. It may be at rest already.
function halt(why) {
  console.log(why);
}

function decimal(value) {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

function wrong(message, name, wanted) {
  // JSON has no word for the Infinity that 1e999 becomes.
  const value = typeof message[name] === "number" ? String(message[name]) : JSON.stringify(message[name]);
  return new Error(`${name} is ${value === undefined ? "missing" : value.slice(0, 60)}; it should be ${wanted}`);
}

function number(message, name) {
  const value = message[name];
  if (typeof value !== "number" || !(Math.abs(value) <= 1e6)) throw wrong(message, name, "a number from -1e6 to 1e6");
  return value;
}

// The client that moves the arm, one at a time, and when it last said something.
let mover = null;
let heard = 0;

// One connection: bytes go in, replies come out, and its timer tells when there has been silence for too long.
class Session {
  rest = Buffer.alloc(0); // the beginning of a line whose end has not come yet
  heartbeats = false;
  timer = null;

  // The replies to the lines that end in these bytes. Throws if the connection is to be closed.
  feed(data) {
    // TCP carries bytes, not lines: one event may bring half a line, or three, or half a letter.
    const lines = [];
    this.rest = Buffer.concat([this.rest, data]);
    for (let end; (end = this.rest.indexOf(0x0a)) >= 0; this.rest = this.rest.subarray(end + 1)) {
      lines.push(this.rest.subarray(0, end));
    }
    if ([...lines, this.rest].some((line) => line.length > LINE_LIMIT)) {
      throw new Error(`a line is longer than ${LINE_LIMIT} bytes`);
    }
    return lines.map((line) => this.answer(line)).join("");
  }

  // Every line is answered by one line, in order; a bad one too.
  answer(line) {
    const reply = { status: "ok", message: "Command received" };
    try {
      const message = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line));
      if (typeof message !== "object" || message === null || Array.isArray(message)) {
        throw new Error("not a JSON object");
      }
      if (Number.isSafeInteger(message.seq)) reply.seq = message.seq;
      // A client that has long been silent may be a laptop that was switched off: the arm is not its own for ever.
      if (mover !== null && mover !== this && performance.now() < heard + 2000) {
        throw new Error("another client moves the arm");
      }
      [mover, heard] = [this, performance.now()];
      this.obey(message);
    } catch (problem) {
      reply.status = "error";
      reply.message = `${problem.message}, in: ${line.toString().slice(0, 60)}`;
    }
    return JSON.stringify(reply) + "\n";
  }

  obey(message) {
    // Everything is looked at before anything is done.
    const target = message.type === "command" ? ["x", "y", "z"].map((name) => number(message, name)) : null;
    if (target && !["open", "closed"].includes(message.gripper)) throw wrong(message, "gripper", '"open" or "closed"');
    if (!["command", "stop", "heartbeat"].includes(message.type)) {
      throw wrong(message, "type", '"command", "stop" or "heartbeat"');
    }
    this.heartbeats ||= message.type === "heartbeat";
    // Without ttl and heartbeats silence is no alarm: the bridge says nothing while the arm is to rest.
    const silence = "ttl" in message ? number(message, "ttl") : this.heartbeats ? WATCHDOG : null;
    clearTimeout(this.timer);
    if (silence !== null) this.timer = setTimeout(() => this.end(`nothing came for ${silence / 1000} s`), silence);
    if (target) move(...target, message.gripper);
    else if (message.type === "stop") halt("stop");
  }

  // Halts the arm, if it is this session that moves it.
  end(why) {
    clearTimeout(this.timer);
    if (mover === this) {
      mover = null;
      halt(`halt: ${why}`);
    }
  }
}

function serve(client) {
  const session = new Session();
  // All is read before the first line is obeyed: a client that is gone is found by the end behind its lines, which
  // shows itself a turn of the loop later, or two.
  client.on("data", (data) => setImmediate(() => setImmediate(() => setImmediate(() => obey(data)))));
  const obey = (data) => {
    try {
      if (!client.readableEnded && !client.destroyed) client.write(session.feed(data));
      if (client.writableLength > 65536) throw new Error("the client does not take its replies");
    } catch (problem) {
      client.destroy(problem);
    }
  };
  // Without a listener an error, such as a reset, would end the program.
  client.on("error", (problem) => session.end(problem.message));
  client.on("close", () => session.end("the bridge has gone"));
}

const { values } = parseArgs({
  options: { host: { type: "string", default: "127.0.0.1" }, port: { type: "string", default: "5000" } },
});
// noDelay: replies leave at once.
const server = net.createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 1000 }, serve);
server.listen(Number(values.port), values.host, () => {
  console.log(`listening on ${server.address().address}:${server.address().port}`);
});
for (const ending of ["SIGINT", "SIGTERM"]) {
  process.on(ending, () => {
    halt("halt: the controller ends");
    process.exit(0);
  });
}
