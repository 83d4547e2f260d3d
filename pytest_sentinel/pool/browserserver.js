// Holds one browser for a pool, serves it to Playwright clients, each isolated from the others,
// and watches it: it is a client of its own server, so that a probe goes the way that clients go.
//
// Started as: node browserserver.js PLAYWRIGHT_PACKAGE
// Waits, with Playwright loaded, for the line {launch: {engine, options, upstream}} on standard
// input. With an upstream, the address of another server, it only watches that one.
//
// Says on standard output, one JSON object a line: {endpoint, pid} when it serves, {error} when it
// cannot, {ended} when the browser is gone. What the browser itself says goes to standard error.
// Reads requests {id, ask} on standard input and answers {id, value} or {id, error}. Standard input
// is held open by the pool alone: its end means that the pool is gone, however it went, and the
// browser goes too.
'use strict';

const playwright = require(process.argv[2]);
require('node:module').flushCompileCache?.(); // for the next server, which need not wait for our end
const say = (fact) => process.stdout.write(JSON.stringify(fact) + '\n');
// A pool that was killed reads nothing any more; that must not stop what is being ended.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});

let browserType;
let isChromium;
let server; // none with an upstream
let endpoint;
let monitor; // promise of {browser, session}
let opening = Promise.resolve(); // of a probe's context, until its id is known
const probes = new Set(); // ids of contexts that probes have opened
let over = false;

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

async function answer(line) {
  const { launch, id, ask, ...rest } = JSON.parse(line);
  if (launch) return begin(launch);
  try {
    say({ id, value: (await answers[ask](rest)) ?? null });
  } catch (error) {
    say({ id, error: String(error.message || error) });
  }
}

async function serve({ engine, options, upstream }) {
  let pid = null;
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
  }
  await monitoring();
  say({ endpoint, pid });
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

require('readline').createInterface({ input: process.stdin }).on('line', answer);
process.stdin.on('end', async () => {
  over = true;
  await server?.kill().catch(() => {});
  process.exit(0);
});
