/** What this browser remembers of the visit, across reloads. Written between trials only.
 * @typedef {object} Memory
 * @property {string} device random name of this browser
 * @property {string} list id of the list that was begun here; "" before
 * @property {number} begun index of the trial that was begun last; -1 before the first
 * @property {number} events how many events have been told */

/** @returns {Memory} */
export function recall() {
  const known = localStorage.getItem("psychophysics");
  if (known) return JSON.parse(known);
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const device = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return { device, list: "", begun: -1, events: 0 };
}

/** @param {Memory} memory */
export function remember(memory) {
  localStorage.setItem("psychophysics", JSON.stringify(memory));
}
