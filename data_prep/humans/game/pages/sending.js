import { openOutbox } from "../../studies/pages/outbox.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("../../studies/pages/outbox.js").Outbox} Outbox
 * @typedef {import("../../studies/pages/outbox.js").Entry} Entry
 */

const MOST_POINTS = 64; // a message

/** @param {import("../../studies/pages/outbox.js").Listener} listener */
export function openGameOutbox(listener) {
  return openOutbox("clickme", listener);
}

/** @param {Outbox} outbox @param {State} state */
export function sendStart(outbox, state) {
  const looked = Math.max(0, Math.round(state.clickedAt - state.shownAt));
  return outbox.put(entry(state, "start", { input: state.input, looked_ms: looked }));
}

/** Puts what has not been sent yet into the outbox.
 * @param {Outbox} outbox @param {State} state */
export async function sendBubbles(outbox, state) {
  for (const one of batches(state)) await outbox.put(one);
}

/** @param {Outbox} outbox @param {State} state
 * @param {"timeout" | "skip" | "hidden"} reason @param {string | null} skipReason */
export async function sendEnd(outbox, state, reason, skipReason = null) {
  await outbox.put(entry(state, "end", endBody(state, reason, skipReason)));
}

/** The page goes away: one try to bring over at once what the outbox may send only much later.
 * Only bubbles: the end, if it overtook them, would make them late. The server ends the round by
 * itself, when the next one is asked for or after some seconds of silence.
 * @param {State} state */
export function sendFarewell(state) {
  const headers = { "Content-Type": "application/json" };
  for (const one of batches({ ...state })) {
    const body = JSON.stringify(one.body);
    void fetch(one.address, { method: "POST", keepalive: true, headers, body }).catch(() => {});
  }
}

/** @param {State} state @returns {Entry[]} */
function batches(state) {
  const entries = [];
  while (state.sent < state.bubbles.length) {
    const points = state.bubbles.slice(state.sent, state.sent + MOST_POINTS);
    const seq = Math.floor(state.sent / state.limits.query_every);
    entries.push(entry(state, "bubbles", { seq, first: state.sent, points }));
    state.sent += points.length;
  }
  return entries;
}

/** @param {State} state @param {string} reason @param {string | null} skipReason */
function endBody(state, reason, skipReason) {
  const scripted = state.bubbles.length > 10 && state.moves === 0;
  return { reason, skip_reason: skipReason, scripted, raw: state.keepRaw ? state.raw : null };
}

/** @param {State} state @param {string} kind @param {unknown} body @returns {Entry} */
function entry(state, kind, body) {
  return { key: state.round, kind, address: address(state, kind), body };
}

/** @param {State} state @param {string} kind */
function address(state, kind) {
  return `/api/rounds/${state.round}/${kind}`;
}
