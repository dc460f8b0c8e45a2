import { Problem, request } from "./request.js";

/**
 * @typedef {object} Entry
 * @property {number} [id] order of sending; given by the database
 * @property {string} key what it belongs to: a round, a trial
 * @property {string} kind what it is, for whoever put it in
 * @property {string} address
 * @property {unknown} body
 *
 * @typedef {object} Listener
 * @property {(entry: Entry, answer: any) => void} stored the server has it; the entry is gone
 * @property {(entry: Entry, problem: Problem) => void} refused it will never be taken as it is
 * @property {(waiting: boolean) => void} waiting whether the line is down and entries wait
 */

const STORE = "entries";
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 8000;
// The server may take these later, unchanged: the line is down, it is busy, or it restarts.
const LATER = new Set([0, 408, 425, 429, 500, 502, 503, 504]);

/** What is to be sent, kept in the browser until the server says that it has it.
 *
 * Written first, sent second, deleted third, and only after a 2xx: a page that dies between any two
 * of these sends again, which the server takes as what it is. One at a time and in order. */
export class Outbox {
  /** @param {IDBDatabase} database @param {Listener} listener */
  constructor(database, listener) {
    this.database = database;
    this.listener = listener;
    this.pauseMs = FIRST_PAUSE_MS;
    this.sending = false;
    /** @type {(() => void) | null} */
    this.wake = null;
    addEventListener("online", () => this.wake?.());
  }

  /** Keeps an entry, and sends it when its turn comes.
   * @param {Entry} entry */
  async put(entry) {
    await done(this.store("readwrite").add(entry));
    void this.send();
  }

  /** Sends what there is, until nothing is left. */
  async send() {
    if (this.sending) return;
    this.sending = true;
    try {
      // Two tabs share the entries; with the lock they do not send the same one twice. Without it
      // (plain HTTP) they may, which costs a message and changes nothing.
      if (navigator.locks) await navigator.locks.request("outbox", () => this.drain());
      else await this.drain();
    } finally {
      this.sending = false;
    }
    if (await this.first()) void this.send(); // one came between the last look and the flag
  }

  /** @returns {Promise<boolean>} whether everything has been stored by the server */
  async isEmpty() {
    return !(await this.first());
  }

  /** Forgets everything, after withdrawal. */
  async clear() {
    await done(this.store("readwrite").clear());
  }

  async drain() {
    for (let entry = await this.first(); entry; entry = await this.first()) {
      const outcome = await attempt(entry);
      if (outcome instanceof Problem && LATER.has(outcome.status)) {
        this.listener.waiting(true);
        await this.pause(Number(outcome.facts.retry_after_ms) || 0);
        continue;
      }
      await done(this.store("readwrite").delete(/** @type {number} */ (entry.id)));
      this.pauseMs = FIRST_PAUSE_MS; // the server answers again: the next pause starts small
      this.listener.waiting(false);
      if (outcome instanceof Problem) this.listener.refused(entry, outcome);
      else this.listener.stored(entry, outcome);
    }
  }

  /** @param {number} atLeastMs */
  async pause(atLeastMs) {
    const ms = Math.max(this.pauseMs, atLeastMs);
    this.pauseMs = Math.min(2 * this.pauseMs, LONGEST_PAUSE_MS);
    await new Promise((resolve) => {
      this.wake = () => resolve(undefined);
      setTimeout(resolve, ms);
    });
    this.wake = null;
  }

  /** @returns {Promise<Entry | undefined>} */
  async first() {
    const cursor = await done(this.store("readonly").openCursor());
    return cursor?.value;
  }

  /** @param {IDBTransactionMode} mode */
  store(mode) {
    return this.database.transaction(STORE, mode).objectStore(STORE);
  }
}

/** @param {string} name @param {Listener} listener @returns {Promise<Outbox>} */
export async function openOutbox(name, listener) {
  const opening = indexedDB.open(name, 1);
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore(STORE, { keyPath: "id", autoIncrement: true });
  };
  const outbox = new Outbox(await done(opening), listener);
  void outbox.send(); // what an earlier page left
  return outbox;
}

/** @param {Entry} entry */
async function attempt(entry) {
  try {
    return await (await request("POST", entry.address, entry.body)).json();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

/** @template T @param {IDBRequest<T>} asked @returns {Promise<T>} */
function done(asked) {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}
