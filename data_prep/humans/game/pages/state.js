import { follow, rounded, ticksAt } from "./rules.js";

/**
 * @typedef {import("./rules.js").Place} Place
 * @typedef {import("./rules.js").Bubble} Bubble
 * @typedef {import("./rules.js").Limits} Limits
 * @typedef {"mouse" | "touch" | "pen" | "keyboard"} Input
 *
 * @typedef {object} State everything about the round on the page that changes
 * @property {"loading" | "ready" | "playing" | "waiting" | "ended" | "trouble"} phase
 * @property {string} round id; "" before the first
 * @property {string} label what the picture shows
 * @property {Limits} limits the rules of this round
 * @property {ImageBitmap | HTMLImageElement | null} image decoded before the clock can start
 * @property {Input} input what the first click was made with
 * @property {Place} cursor where the hand is; the brush follows it
 * @property {Place} brush where the last tick left the brush
 * @property {Set<string>} keys arrow keys that are held
 * @property {Bubble[]} bubbles all of this round
 * @property {number} sent how many of them are in the outbox
 * @property {number} drawn how many of them the view has drawn
 * @property {number} ticks ticks that have been made, missed ones included
 * @property {number} shownAt frame stamp at which the picture was first drawn
 * @property {number} clickedAt stamp of the first click
 * @property {number} moves pointer events since the first click; a script makes none
 * @property {boolean} keepRaw whether the study wants pointer events, too
 * @property {[string, number, number, number][]} raw pointer events: kind, x, y, t
 */

/** @returns {State} */
export function newState() {
  return {
    phase: "loading",
    round: "",
    label: "",
    limits: {
      limit_ms: 7000,
      grace_ms: 2000,
      bubble_side: 14,
      partner_bubble_side: 21,
      brush_tick_ms: 50,
      brush_step: 7,
      query_every: 10,
      after_recognition: "stop",
      background: "mean",
      score: "linear",
    },
    image: null,
    input: "mouse",
    cursor: [128, 128],
    brush: [128, 128],
    keys: new Set(),
    bubbles: [],
    sent: 0,
    drawn: 0,
    ticks: 0,
    shownAt: 0,
    clickedAt: 0,
    moves: 0,
    keepRaw: false,
    raw: [],
  };
}

/** The first click: the clock starts, and the first bubble lies under it.
 * @param {State} state @param {Place} at @param {number} stamp @param {Input} input */
export function begin(state, at, stamp, input) {
  state.phase = "playing";
  state.input = input;
  state.cursor = state.brush = rounded(at);
  state.clickedAt = stamp;
  state.bubbles = [[...state.brush, 0]];
  state.ticks = 0;
}

/** Makes the ticks that are due at a frame: one bubble a tick, none where the brush did not move.
 * A slow frame finds several due and makes them all, so that it costs no bubble.
 * @param {State} state @param {number} stamp @returns {boolean} whether the time is up */
export function advance(state, stamp) {
  const elapsed = stamp - state.clickedAt;
  const due = ticksAt(elapsed, state.limits);
  while (state.ticks < due) {
    state.ticks += 1;
    if (state.keys.size) state.cursor = keyCursor(state);
    const next = rounded(follow(state.brush, state.cursor, state.limits.brush_step));
    if (next[0] === state.brush[0] && next[1] === state.brush[1]) continue;
    state.brush = next;
    state.bubbles.push([...next, state.ticks * state.limits.brush_tick_ms]);
  }
  return elapsed >= state.limits.limit_ms;
}

/** @type {Record<string, Place>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** Where held arrow keys lead in one tick; the step is the brush's own, also diagonally.
 * @param {State} state @returns {Place} */
function keyCursor(state) {
  let [dx, dy] = [0, 0];
  for (const key of state.keys) {
    dx += ARROWS[key]?.[0] ?? 0;
    dy += ARROWS[key]?.[1] ?? 0;
  }
  const scale = state.limits.brush_step / (Math.hypot(dx, dy) || 1);
  const clip = (/** @type {number} */ value) => Math.min(Math.max(value, 0), 256);
  return [clip(state.brush[0] + dx * scale), clip(state.brush[1] + dy * scale)];
}
