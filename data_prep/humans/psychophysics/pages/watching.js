/** @typedef {{ code: string, stamp: number }} Key
 * @typedef {{ kind: string, at_ms: number }} WindowEvent */

export const KEYS = ["KeyS", "KeyL"]; // those that answer, by position

/** Keys and the window, for the whole visit. A key that is held is no answer: it comes again and
 * again, and may be down from the trial before. */
export class Watcher {
  /** @param {(event: WindowEvent) => void} keep is told every event of the window */
  constructor(keep) {
    this.keep = keep;
    /** @type {Set<string>} */
    this.down = new Set();
    /** @type {((key: Key) => void) | null} */
    this.onKey = null;
    /** @type {string[] | null} */
    this.inTrial = null;
    addEventListener("keydown", (event) => this.pressed(event));
    addEventListener("keyup", (event) => this.down.delete(event.code));
    addEventListener("blur", (event) => {
      this.down.clear(); // releases elsewhere are not told
      this.happened("blur", event.timeStamp);
    });
    addEventListener("focus", (event) => this.happened("focus", event.timeStamp));
    addEventListener("resize", (event) => this.happened("resize", event.timeStamp));
    document.addEventListener("visibilitychange", (event) => {
      this.happened(document.hidden ? "hidden" : "visible", event.timeStamp);
    });
    document.addEventListener("fullscreenchange", (event) => {
      this.happened(document.fullscreenElement ? "fullscreen" : "windowed", event.timeStamp);
    });
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.repeat || this.down.has(event.code)) return;
    this.down.add(event.code);
    this.onKey?.({ code: event.code, stamp: event.timeStamp });
  }

  /** @param {string} kind @param {number} at_ms */
  happened(kind, at_ms) {
    this.inTrial?.push(kind);
    this.keep({ kind, at_ms });
  }

  /** @param {(key: Key) => void} onKey */
  beginTrial(onKey) {
    this.inTrial = [];
    this.onKey = onKey;
  }

  /** @returns {string[]} what happened in the trial */
  endTrial() {
    const happened = this.inTrial ?? [];
    this.inTrial = this.onKey = null;
    return happened.slice(0, 100);
  }

  /** Waits for any key, once `atLeastMs` are over; `onEarlier` is told of keys before.
   * @param {number} atLeastMs @param {(key: Key) => void} [onEarlier] @returns {Promise<Key>} */
  anyKey(atLeastMs, onEarlier) {
    const begin = performance.now();
    return new Promise((resolve) => {
      this.onKey = (key) => {
        onEarlier?.(key);
        if (key.stamp - begin < atLeastMs) return;
        this.onKey = null;
        resolve(key);
      };
    });
  }
}
