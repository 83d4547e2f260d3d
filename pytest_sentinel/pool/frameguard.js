// Keeps whatever one client of a browser server sends from ending it for the others.
//
// Playwright's server handles a client's message in a promise that nobody awaits: where it throws,
// Node.js ends the process, and with it the browser of everybody. Here each failure is traced to the
// connection whose message caused it, and ends that one alone. What cannot be traced is reported on
// standard error and survived: whether the browser still works is for the probes to say.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');

const MIB = 1024 * 1024;
const LARGE = MIB; // messages below need no count of their values
const MOST_VALUES = 8_000_000; // in one message; each takes some 50 bytes of a heap that all share
const PAUSE_AT = 16 * MIB; // answers that a client has not read, until which more is read from it
const MOST_UNREAD = 256 * MIB; // the same, until which it is kept
const LOOK_EVERY = 50; // milliseconds, for whether a paused client has read
const CLOSED_WITHIN = 1000; // milliseconds, for a client to answer a close frame
const [OPEN, LIST, COMMA] = Buffer.from('{[,');
const SPACES = new Set(Buffer.from(' \t\r\n'));

// What would end or open the browser for all, and the letters without which no message can ask it.
const FORBIDDEN = new Set(['startServer', 'stopServer']);
const FORBIDDEN_CDP = new Set(['Browser.close', 'Browser.crash', 'Browser.crashGpuProcess']);
const TRACES = ['Server"', 'Browser.c', '\\u00'];

const sender = new AsyncLocalStorage(); // the client whose message is being handled
const report = (error, who) =>
  process.stderr.write(`${who} failed: ${String(error?.stack ?? error).slice(0, 2000)}\n`);

class Client {
  constructor(socket) {
    this.socket = socket;
    this.over = false;
  }

  // Found after the upgrade: ws keeps itself on the socket, under a symbol of its own.
  begin() {
    const key = Object.getOwnPropertySymbols(this.socket).find((s) => s.description === 'websocket');
    const ws = (this.ws = this.socket[key]);
    if (!ws) return;
    const { emit, send } = ws;
    ws.emit = (event, ...facts) => {
      if (event !== 'message') return emit.call(ws, event, ...facts);
      if (this.over || !this.admits(facts[0])) return true;
      return sender.run(this, () => emit.call(ws, event, ...facts));
    };
    ws.send = (...facts) => {
      if (ws.bufferedAmount > MOST_UNREAD) return this.drop();
      return send.apply(ws, facts);
    };
  }

  admits(data) {
    let first = 0;
    while (SPACES.has(data[first])) first++;
    if (data[first] !== OPEN) return this.end(1007, 'a message is a JSON object');
    if (data.length > LARGE && hasTooMany(data)) return this.end(1009, 'too many values at once');
    if (this.ws.bufferedAmount > PAUSE_AT && !this.ws.isPaused) this.pause();
    return !TRACES.some((trace) => data.includes(trace)) || this.mayAsk(data);
  }

  mayAsk(data) {
    let message;
    try {
      message = JSON.parse(data);
    } catch {
      return true; // Playwright's server closes the connection for it
    }
    const { id, method, params } = message;
    const what = method === 'send' ? params?.method : method;
    if (!(method === 'send' ? FORBIDDEN_CDP : FORBIDDEN).has(what)) return true;
    const error = { name: 'Error', message: `${what}: this browser is shared with others`, stack: '' };
    this.ws.send(JSON.stringify({ id, error: { error } }));
    return false;
  }

  // A client that reads no answers is not read from either.
  pause() {
    const { ws } = this;
    ws.pause();
    const timer = setInterval(() => {
      if (ws.bufferedAmount > PAUSE_AT / 2 && !this.socket.destroyed) return;
      clearInterval(timer);
      ws.resume();
    }, LOOK_EVERY);
  }

  end(code, reason) {
    if (this.over) return false;
    this.over = true;
    if (!this.ws) return this.drop();
    this.ws.close(code, reason);
    setTimeout(() => this.drop(), CLOSED_WITHIN).unref();
    return false;
  }

  drop() {
    this.over = true;
    this.socket.destroy();
    return false;
  }
}

function hasTooMany(data) {
  let values = 0;
  for (const byte of data) if (byte === COMMA || byte === LIST || byte === OPEN) values++;
  return values > MOST_VALUES;
}

function survive(error) {
  const client = sender.getStore();
  report(error, client ? "a client's message" : 'something in the browser server');
  client?.end(1008, 'this message cannot be handled');
}

// Guards every connection that comes to `door`, the HTTP server of a browser server.
exports.guard = (door) => {
  const upgrades = door.listeners('upgrade');
  door.removeAllListeners('upgrade');
  door.on('upgrade', (request, socket, head) => {
    const client = new Client(socket);
    sender.run(client, () => upgrades.forEach((upgrade) => upgrade.call(door, request, socket, head)));
    client.begin();
  });
  process.on('uncaughtException', survive);
  process.on('unhandledRejection', survive);
};
