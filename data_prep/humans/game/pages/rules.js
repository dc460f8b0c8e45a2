/** What the page needs of the rules, as the server says them.
 * @typedef {import("./wire.js").Limits} Limits
 * @typedef {[number, number]} Place x, y in pixels of the 256 frame
 * @typedef {[number, number, number]} Bubble x, y and ms from the first click */

export const FRAME = 256;

/** Where the brush is after one tick: it follows the cursor, at most `step` px at a time.
 * @param {Place} brush @param {Place} cursor @param {number} step @returns {Place} */
export function follow(brush, cursor, step) {
  const [dx, dy] = [cursor[0] - brush[0], cursor[1] - brush[1]];
  const distance = Math.hypot(dx, dy);
  if (distance <= step) return cursor;
  return [brush[0] + (dx * step) / distance, brush[1] + (dy * step) / distance];
}

/** Three decimals, as they are stored. @param {Place} place @returns {Place} */
export function rounded([x, y]) {
  return [Math.round(x * 1000) / 1000, Math.round(y * 1000) / 1000];
}

/** Keeps a place in the frame. @param {Place} place @returns {Place} */
export function inFrame([x, y]) {
  return [Math.min(Math.max(x, 0), FRAME), Math.min(Math.max(y, 0), FRAME)];
}

/** How many ticks are over at `elapsedMs`, the first click being tick 0.
 * @param {number} elapsedMs @param {Limits} limits */
export function ticksAt(elapsedMs, limits) {
  return Math.floor(Math.min(elapsedMs, limits.limit_ms) / limits.brush_tick_ms);
}

/** The square that a bubble covers: left, top, side.
 * @param {number} x @param {number} y @param {number} side @returns {[number, number, number]} */
export function squareOf(x, y, side) {
  return [Math.floor(x - side / 2 + 0.5), Math.floor(y - side / 2 + 0.5), side];
}
