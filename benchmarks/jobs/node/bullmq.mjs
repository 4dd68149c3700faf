// BullMQ: `node bullmq.mjs work` is a worker process, `node bullmq.mjs send` sends jobs as benchmarks/jobs/producer.py does.

import fs from "node:fs";
import readline from "node:readline";
import { Queue, Worker } from "bullmq";
import IORedis from "ioredis";

const NAP_MS = 1;
const LONGEST_PAUSE_MS = 40;
const CHUNK = 1000;
// As many as BullMQ's own benchmarks have.
const CONCURRENCY = 50;
const NAME = "bench";

const connect = () => new IORedis(process.env.BENCH_STORE_URL, { maxRetriesPerRequest: null });
const now = () => Number(process.hrtime.bigint()) / 1e9;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function work() {
  const tally = fs.openSync(process.env.BENCH_TALLY, "a");
  const stamps = fs.openSync(process.env.BENCH_STAMPS, "a");
  const counter = new IORedis(process.env.BENCH_COUNTER_URL);
  const processId = Buffer.alloc(4);
  processId.writeUInt32LE(process.pid);
  const kinds = {
    noop: async () => {},
    incr: () => counter.incr("bench:done"),
    nap: () => sleep(NAP_MS),
    stamp: async ({ sent_at }) => {
      const stamp = Buffer.alloc(8);
      stamp.writeDoubleLE(now() - sent_at);
      fs.writeSync(stamps, stamp);
    },
  };
  new Worker(
    NAME,
    async (job) => {
      await kinds[job.name](job.data);
      fs.writeSync(tally, processId);
    },
    { connection: connect(), concurrency: CONCURRENCY, removeOnComplete: { count: 0 } },
  );
}

async function send() {
  const queue = new Queue(NAME, { connection: connect() });
  const ways = {
    single: async (kind, count) => {
      for (let i = 0; i < count; i++) await queue.add(kind, {});
    },
    bulk: async (kind, count) => {
      for (let left = count; left > 0; left -= CHUNK) {
        await queue.addBulk(Array.from({ length: Math.min(left, CHUNK) }, () => ({ name: kind, data: {} })));
      }
    },
    stamp: async (_kind, count) => {
      for (let i = 0; i < count; i++) {
        await queue.add("stamp", { sent_at: now() });
        await sleep(Math.random() * LONGEST_PAUSE_MS);
      }
    },
  };
  await queue.waitUntilReady();
  const { version } = JSON.parse(fs.readFileSync("node_modules/bullmq/package.json", "utf8"));
  say({ version, has_bulk: true });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const request = JSON.parse(line);
    const started = now();
    await ways[request.do](request.kind, request.count);
    say({ seconds: now() - started });
  }
  process.exit(0);
}

function say(answer) {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

await { work, send }[process.argv[2]]();
