// Holds one browser for a pool, serves it to Playwright clients, each isolated from the others,
// and watches it: it is a client of its own server, so that a probe goes the way that clients go.
//
// Started as: node browserserver.js PLAYWRIGHT_PACKAGE, with Node's channel for child processes.
// Waits, with Playwright loaded, for the message {launch: {engine, options, upstream, ping}}. With an
// upstream, the address of another server, it only watches that one.
//
// Says on standard output, one JSON object a line: {endpoint, pid, takes} when it serves, {error}
// when it cannot, {ended} when the browser is gone; these are written before it exits. What the
// browser itself says goes to standard error. Answers {id, ask} with {id, value} or {id, error}.
//
// Where it `takes` clients, {line, do: 'take', url, headers, early} comes with the connection of
// one that has asked for a WebSocket; from there on the two talk to each other directly.
//   Tells: {line, status} of the answer, {line, spoke} when the client has said something,
//   {line, closing} when the server has said good-bye, {line, farewell} when it has given up: that
//   frame is left to the pool, which may know better, and {line, closed} when it has let go.
//   Takes: {line, do: 'part', frame}: say this last and hang up; {line, do: 'drop'}: hang up.
//
// The channel is held open by the pool alone: its end means that the pool is gone, however it
// went, and the browser goes too.
'use strict';

const http = require('node:http');
const net = require('node:net');
const { guard } = require('./frameguard.js');
const playwright = require(process.argv[2]);
require('node:module').flushCompileCache?.(); // for the next server, which need not wait for our end
const say = (fact) => process.stdout.write(JSON.stringify(fact) + '\n');
// A pool that was killed reads nothing any more; that must not stop what is being ended.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

// Playwright hands nobody the HTTP server that its clients come to; this is where it begins.
const listening = new Set();
http.Server.prototype.listen = function (...where) {
  listening.add(this);
  return net.Server.prototype.listen.apply(this, where);
};

const END_KNOWN_WITHIN = 250; // milliseconds
const PING = Buffer.from([0x89, 0]);

let browserType;
let isChromium;
let server; // none with an upstream
let door; // the HTTP server in it, if it was found
let endpoint;
let monitor; // promise of {browser, session}
let opening = Promise.resolve(); // of a probe's context, until its id is known
const probes = new Set(); // ids of contexts that probes have opened
let over = false;
let pingEvery = 0; // milliseconds; a proxy takes a connection for dead that says nothing for long

function leave(how) {
  if (!over) say({ ended: how });
  over = true;
  process.exit(0);
}

async function watch() {
  const browser = await browserType.connect(endpoint);
  browser.on('disconnected', () => {
    monitor = undefined;
    if (!server) leave('disconnected');
  });
  const session = isChromium ? await browser.newBrowserCDPSession() : undefined;
  return { browser, session };
}

function monitoring() {
  monitor ??= watch().catch((error) => {
    monitor = undefined;
    throw error;
  });
  return monitor;
}

const answers = {
  async contexts() {
    const { session } = await monitoring();
    if (!session) return null;
    await opening;
    const { browserContextIds } = await session.send('Target.getBrowserContexts');
    return browserContextIds.filter((id) => !probes.has(id));
  },

  async dispose({ context }) {
    const { session } = await monitoring();
    await session.send('Target.disposeBrowserContext', { browserContextId: context });
  },

  async probe() {
    const { browser, session } = await monitoring();
    let known;
    if (session) opening = new Promise((resolve) => (known = resolve));
    let id;
    let context;
    try {
      context = await browser.newContext();
      const page = await context.newPage();
      if (session) {
        const own = await context.newCDPSession(page);
        id = (await own.send('Target.getTargetInfo')).targetInfo.browserContextId;
        probes.add(id);
        known();
      }
      if ((await page.evaluate(() => 6 * 7)) !== 42) throw new Error('it cannot multiply');
    } finally {
      known?.();
      await context?.close();
      probes.delete(id);
    }
  },

  async end() {
    over = true;
    if (server) await server.close();
    process.exit(0);
  },
};

const lines = new Map(); // what can be done to the connections that were passed on

function take({ line, url, headers, early }, socket) {
  const tell = (fact) => process.connected && process.send({ line, ...fact });
  if (!socket) return tell({ closed: true });
  const write = socket.write.bind(socket);
  const { isLast, isBetweenFrames } = overhear(socket, write, tell);
  lines.set(line, {
    part({ frame }) {
      socket.write = () => true; // whatever else is said comes too late
      if (!isLast()) write(Buffer.from(frame, 'latin1'));
      socket.end();
    },
    drop: () => socket.destroy(),
  });
  socket.on('error', () => {}); // its close says enough
  let pinging;
  socket.on('close', () => {
    clearInterval(pinging);
    lines.delete(line);
    tell({ closed: true });
  });
  const request = { method: 'GET', url, headers, httpVersion: '1.1', socket };
  door.emit('upgrade', request, socket, Buffer.from(early, 'base64'));
  // Not before the server reads from it, for a listener makes data flow.
  // No ping before the client has said something: its answer would be taken for that.
  if (!socket.destroyed) {
    socket.once('data', () => {
      tell({ spoke: true });
      if (pingEvery) pinging = setInterval(() => isBetweenFrames() && write(PING), pingEvery);
    });
  }
}

// Follows what the server writes, which is the answer to the upgrade and then frames (RFC 6455),
// head and payload apart. Returns how to ask whether a close frame has been among them, and whether
// a frame of our own may come now.
function overhear(socket, write, tell) {
  let answered = false;
  let agreed = false;
  let left = 0; // bytes of payload to come
  let closing; // the head of a close frame whose payload comes next
  let closed = false;
  socket.write = (data, ...rest) => {
    if (!answered) {
      answered = true;
      const status = Number(String(data).slice(9, 12));
      agreed = status === 101;
      tell({ status });
    } else if (closing) {
      const frame = Buffer.concat([closing, data]);
      closing = undefined;
      if (frame.readUInt16BE(2) === 1001) {
        tell({ farewell: frame.toString('latin1') });
        setImmediate(() => socket.destroy());
        return true;
      }
      tell({ closing: (closed = true) });
      return write(frame, ...rest);
    } else if (left) {
      left -= typeof data === 'string' ? left : data.length; // a text comes whole
    } else if (data[0] === 0x88 && data.length === 2 && data[1] >= 2) {
      closing = data;
      return true;
    } else {
      const short = data[1] & 0x7f;
      if (short === 127) left = Number(data.readBigUInt64BE(2)) - data.length + 10;
      else if (short === 126) left = data.readUInt16BE(2) - data.length + 4;
      else left = short - data.length + 2;
      if ((data[0] & 0x0f) === 8) tell({ closing: (closed = true) });
    }
    return write(data, ...rest);
  };
  return {
    isLast: () => closed,
    isBetweenFrames: () => agreed && !left && !closing && !closed && socket.writable,
  };
}

async function answer(message, socket) {
  const { launch, line, id, ask, ...rest } = message;
  if (launch) return begin(launch);
  if (line && rest.do === 'take') return take(message, socket);
  if (line) return lines.get(line)?.[rest.do](rest);
  try {
    say({ id, value: (await answers[ask](rest)) ?? null });
  } catch (error) {
    // A browser that has just died fails requests a moment before its end is known, which says
    // more, and is the last that is said.
    await new Promise((resolve) => setTimeout(resolve, END_KNOWN_WITHIN));
    say({ id, error: String(error.message || error).split('\n')[0] });
  }
}

async function serve({ engine, options, upstream, ping }) {
  let pid = null;
  pingEvery = 1000 * (ping ?? 0);
  browserType = playwright[engine];
  isChromium = engine === 'chromium';
  endpoint = upstream;
  if (!upstream) {
    server = await browserType.launchServer(options);
    if (over) return server.kill();
    server.on('close', (code, signal) => leave(signal ?? `exit code ${code}`));
    const { stdout, stderr } = server.process();
    for (const output of [stdout, stderr]) output?.on('data', (data) => process.stderr.write(data));
    endpoint = server.wsEndpoint();
    pid = server.process().pid;
    const { port } = new URL(endpoint);
    door = [...listening].find((one) => one.address()?.port === Number(port));
    if (door) guard(door);
  }
  await monitoring();
  say({ endpoint, pid, takes: Boolean(door?.listenerCount('upgrade')) });
}

async function begin(launch) {
  try {
    await serve(launch);
  } catch (error) {
    over = true;
    say({ error: String(error.message || error) });
    process.exit(1);
  }
}

process.on('message', answer);
process.on('disconnect', async () => {
  over = true;
  await server?.kill().catch(() => {});
  process.exit(0);
});
