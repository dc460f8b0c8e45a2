import { Outbox } from "../../studies/pages/outbox.js";

/** An outbox that stands still while a trial runs: no network and no storage then.
 *
 * It looks at its gate before each entry; one that is under way when the gate closes ends. */
export class Outgoing extends Outbox {
  /** @param {IDBDatabase} database @param {import("../../studies/pages/outbox.js").Listener} listener */
  constructor(database, listener) {
    super(database, listener);
    this.open = () => {};
    this.gate = Promise.resolve();
  }

  close() {
    this.gate = new Promise((resolve) => { this.open = () => resolve(undefined); });
  }

  async first() {
    await this.gate;
    return super.first();
  }

  /** Sends for a while; what is left then waits for the next pause.
   * @param {number} ms */
  async sendFor(ms) {
    this.open();
    this.gate = Promise.resolve();
    const all = (async () => { while (!(await this.isEmpty())) await new Promise((r) => setTimeout(r, 20)); })();
    await Promise.race([all, new Promise((resolve) => setTimeout(resolve, ms))]);
  }
}

/** @param {import("../../studies/pages/outbox.js").Listener} listener @returns {Promise<Outgoing>} */
export function openOutgoing(listener) {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open("psychophysics", 1);
    opening.onupgradeneeded = () => {
      opening.result.createObjectStore("entries", { keyPath: "id", autoIncrement: true });
    };
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const outgoing = new Outgoing(opening.result, listener);
      void outgoing.send(); // what an earlier page left
      resolve(outgoing);
    };
  });
}
