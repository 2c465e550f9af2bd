#!/usr/bin/env node
// A controller in Node.js: many clients in one event loop. One client at a time moves the arm.
"use strict";

const net = require("node:net");
const { parseArgs } = require("node:util");

const LINE_LIMIT = 4096; // bytes: the bridge never sends a longer line
const WATCHDOG = 500; // milliseconds: after a heartbeat, halt the arm if no valid line comes for this long

// YOUR ARM: fill in these two functions. The rest can stay as it is.

// MOVE THE ARM HERE: to x, y, z in millimetres in its base frame, gripper "open" or "closed".
// Start the motion and return. Do not wait for its end: the next command comes about 20 ms later
// and continues from there. If the arm cannot do it, throw new Error("out of reach: ...").
function move(x, y, z, gripper) {
  console.log(`move x=${decimal(x)} y=${decimal(y)} z=${decimal(z)} gripper=${gripper}`);
}

// HALT THE ARM HERE: hold its position, leave the gripper. The arm may already be at rest.
function halt(why) {
  console.log(why);
}

function decimal(value) {
  return Number.isInteger(value) ? value.toFixed(1) : String(value);
}

function wrong(message, name, wanted) {
  // JSON.stringify would show Infinity (from 1e999) as null.
  const value = typeof message[name] === "number" ? String(message[name]) : JSON.stringify(message[name]);
  return new Error(`${name} is ${value === undefined ? "missing" : value.slice(0, 60)}; it should be ${wanted}`);
}

function number(message, name) {
  const value = message[name];
  if (typeof value !== "number" || !(Math.abs(value) <= 1e6)) throw wrong(message, name, "a number from -1e6 to 1e6");
  return value;
}

// The one session that moves the arm, and the time of its last line.
let mover = null;
let lastLine = 0;

// One connection. Turns received bytes into replies, and halts the arm after a silence.
class Session {
  rest = Buffer.alloc(0); // the beginning of a line whose end has not arrived yet
  heartbeats = false;
  timer = null;

  // Returns the replies to all lines that `data` completes. Throws to disconnect.
  feed(data) {
    // TCP carries bytes, not lines: one event may bring half a line, three lines or half a letter.
    const lines = [];
    this.rest = Buffer.concat([this.rest, data]);
    for (let end; (end = this.rest.indexOf(0x0a)) >= 0; this.rest = this.rest.subarray(end + 1)) {
      lines.push(this.rest.subarray(0, end));
    }
    if ([...lines, this.rest].some((line) => line.length > LINE_LIMIT)) {
      throw new Error(`a line is longer than ${LINE_LIMIT} bytes`);
    }
    return lines.map((line) => this.replyTo(line)).join("");
  }

  // Returns the reply to one line. Every line gets exactly one reply, also a bad line.
  replyTo(line) {
    const reply = { status: "ok", message: "Command received" };
    try {
      const message = JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(line));
      if (typeof message !== "object" || message === null || Array.isArray(message)) {
        throw new Error("not a JSON object");
      }
      if (Number.isSafeInteger(message.seq)) reply.seq = message.seq;
      // A silent client may be a switched-off laptop. After 2 s another client may take over.
      if (mover !== null && mover !== this && performance.now() < lastLine + 2000) {
        throw new Error("another client moves the arm");
      }
      [mover, lastLine] = [this, performance.now()];
      this.obey(message);
    } catch (problem) {
      reply.status = "error";
      reply.message = `${problem.message}, in: ${line.toString().slice(0, 60)}`;
    }
    return JSON.stringify(reply) + "\n";
  }

  obey(message) {
    // Check the whole line before acting on any of it.
    const target = message.type === "command" ? ["x", "y", "z"].map((name) => number(message, name)) : null;
    if (target && !["open", "closed"].includes(message.gripper)) throw wrong(message, "gripper", '"open" or "closed"');
    if (!["command", "stop", "heartbeat"].includes(message.type)) {
      throw wrong(message, "type", '"command", "stop" or "heartbeat"');
    }
    this.heartbeats ||= message.type === "heartbeat";
    // Without ttl and heartbeats, silence is normal: a resting arm gets no commands.
    const silence = "ttl" in message ? number(message, "ttl") : this.heartbeats ? WATCHDOG : null;
    clearTimeout(this.timer);
    if (silence !== null) this.timer = setTimeout(() => this.end(`nothing came for ${silence / 1000} s`), silence);
    if (target) move(...target, message.gripper);
    else if (message.type === "stop") halt("stop");
  }

  // Halts the arm if this session moves it.
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
  // Before obeying a line, check whether the client has disconnected: then it must not move the
  // arm. Node.js reports the end of the connection up to two event loop turns after the data.
  client.on("data", (data) => setImmediate(() => setImmediate(() => setImmediate(() => obey(data)))));
  const obey = (data) => {
    try {
      if (!client.readableEnded && !client.destroyed) client.write(session.feed(data));
      if (client.writableLength > 65536) throw new Error("the client does not read its replies");
    } catch (problem) {
      client.destroy(problem);
    }
  };
  // Without this listener, an error such as a connection reset would end the program.
  client.on("error", (problem) => session.end(problem.message));
  client.on("close", () => session.end("the bridge has gone"));
}

const { values } = parseArgs({
  options: { host: { type: "string", default: "127.0.0.1" }, port: { type: "string", default: "5000" } },
});
// noDelay: send replies without delay.
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
