// SPDX-License-Identifier: MIT
// What the peers in JavaScript have in common: the data, the page, and the primes with the thread that counts them.
import { Worker, isMainThread, parentPort } from 'node:worker_threads';

export const [kind, argument] = process.argv.slice(2);

export const small = () => ({ message: 'Hello, World!', id: 42, tags: ['a', 'b', 'c'] });

export const rows = Array.from({ length: 100 }, (_, at) => at + 1).map((i) => ({
  id: i, name: `User <${i}> & Co`, email: `user${i}@example.com`, active: i % 2 === 0,
}));

const entities = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (value) => String(value).replace(/[&<>"']/g, (c) => entities[c]);

// By hand, as the fastest template library could not do better.
export function page() {
  let html = '<!doctype html><title>Users</title><table>\n';
  for (const row of rows) {
    html += `<tr><td>${escape(row.id)}</td><td>${escape(row.name)}</td><td>${escape(row.email)}</td></tr>\n`;
  }
  return html + '</table>\n';
}

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function countPrimes(limit) {
  let count = 0;
  for (let n = 2; n <= limit; n++) {
    let prime = true;
    for (let i = 2; i <= Math.floor(Math.sqrt(n)); i++) {
      if (n % i === 0) {
        prime = false;
        break;
      }
    }
    if (prime) count++;
  }
  return count;
}

// One thread that takes one job after the other, as luaserve's pool has one for jobs.
export function startPrimes() {
  const worker = new Worker(new URL(import.meta.url));
  const waiting = [];
  worker.on('message', (count) => waiting.shift()(count));
  return (limit) => new Promise((resolve) => {
    waiting.push(resolve);
    worker.postMessage(limit);
  });
}

if (!isMainThread) parentPort.on('message', (limit) => parentPort.postMessage(countPrimes(limit)));
