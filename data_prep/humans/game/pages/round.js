import { Problem } from "../../studies/pages/request.js";
import { askPicture, askRound } from "./api.js";
import { run } from "./loop.js";
import { sendBubbles, sendEnd, sendFarewell, sendStart } from "./sending.js";
import { advance, begin, newState } from "./state.js";
import { say, sayLooked, showEnd, showEyes, showPhase, showReady, showTime, showTrouble } from "./table.js";
import { drawBubbles, drawPartnersView, drawPicture } from "./view.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./wire.js").RoundEnded} RoundEnded
 *
 * @typedef {object} Game what a page has
 * @property {State} state
 * @property {CanvasRenderingContext2D} pen
 * @property {import("./loop.js").Frames} frames
 * @property {import("../../studies/pages/outbox.js").Outbox} outbox
 * @property {string} tab
 * @property {Promise<State> | null} coming the next round, asked for while a result is looked at
 * @property {number} waitingTimer gives up waiting for an answer when the line is down
 */

const PATIENCE_MS = 4000; // past the limit, the partner's last look included

/** Asks for a round and decodes its picture. @param {Game} game @param {boolean} takeOver
 * @returns {Promise<State>} */
async function fetchRound(game, takeOver) {
  const given = await askRound(game.tab, takeOver);
  const image = await askPicture(given.image);
  const { round, label, limits } = given;
  return { ...newState(), round, label, limits, image, keepRaw: given.keep_raw };
}

/** Shows the next round, at once if it has been fetched already.
 * @param {Game} game @param {boolean} [takeOver] */
export async function nextRound(game, takeOver = false) {
  if (!game.coming) {
    showPhase(game.state, "loading");
    say("Getting a picture\u2026");
  }
  const coming = game.coming ?? fetchRound(game, takeOver);
  game.coming = null;
  try {
    Object.assign(game.state, await coming);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    await explain(game, error);
    return;
  }
  game.frames.request((stamp) => {
    drawPicture(game.pen, game.state);
    game.state.shownAt = stamp;
    showReady(game.state);
  });
}

/** @param {Game} game @param {Problem} problem */
async function explain(game, problem) {
  const { status, message, remedy, facts } = problem;
  if (status === 401 || (status === 403 && !facts.why)) {
    location.assign("/" + location.search);
    return;
  }
  if (status === 410) {
    // The link that ends a paid session is given only when the server has everything.
    const stored = await game.outbox.isEmpty();
    const link = stored && typeof facts.completion_url === "string" ? facts.completion_url : "";
    showTrouble(game.state, message, remedy, "Look again", link || "/leaderboard");
    return;
  }
  const taken = status === 409;
  showTrouble(game.state, message, remedy, taken ? "Play here" : "Try again", "");
  game.state.round = taken ? "taken" : "";
}

/** @param {Game} game @param {import("./rules.js").Place} at @param {number} stamp
 * @param {import("./state.js").Input} input */
export function beginRound(game, at, stamp, input) {
  begin(game.state, at, stamp, input);
  showPhase(game.state, "playing");
  say("I am looking\u2026");
  void sendStart(game.outbox, game.state);
  run(game.frames, (now) => paintFrame(game, now));
}

/** One frame of painting. @param {Game} game @param {number} stamp @returns {boolean} */
function paintFrame(game, stamp) {
  const { state } = game;
  if (state.phase !== "playing") return false;
  const over = advance(state, stamp);
  drawBubbles(game.pen, state);
  showTime(state, stamp - state.clickedAt);
  showEyes(state);
  if (state.bubbles.length - state.sent >= state.limits.query_every) {
    void sendBubbles(game.outbox, state);
  }
  if (over) void endRound(game, "timeout", null);
  return !over;
}

/** @param {Game} game @param {"timeout" | "skip" | "hidden"} reason
 * @param {string | null} skipReason */
export async function endRound(game, reason, skipReason) {
  const { state } = game;
  if (state.phase !== "playing" && !(reason === "skip" && state.phase === "ready")) return;
  showPhase(state, "waiting");
  say(reason === "timeout" ? "Time is up. Let me look once more\u2026" : "\u2026");
  await sendBubbles(game.outbox, state);
  await sendEnd(game.outbox, state, reason, skipReason);
  const round = state.round;
  game.waitingTimer = setTimeout(() => {
    if (state.phase === "waiting" && state.round === round) giveUp(game);
  }, PATIENCE_MS);
}

/** No answer came: the round does not count, what was painted will be stored.
 * @param {Game} game */
function giveUp(game) {
  showTrouble(
    game.state,
    "No answer came, so this round may not count.",
    "What you painted is kept in this browser and will be stored when the connection is back.",
    "Next picture",
    "",
  );
}

/** The server has a message of ours. @param {Game} game
 * @param {import("../../studies/pages/outbox.js").Entry} entry @param {any} answer */
export function stored(game, entry, answer) {
  const { state } = game;
  if (entry.key !== state.round) return; // an earlier round's, or another tab's
  if (answer.status === "playing" && state.phase === "playing") {
    if (answer.partner_is_slow) say("Your partner is slow today\u2026");
    else sayLooked(answer.evaluated);
  }
  if (entry.kind === "end") ended(game, answer);
  else if (answer.status === "recognised" && state.limits.after_recognition === "stop") {
    void recognised(game);
  }
}

/** The partner knows: painting stops, and the server tells the rest. @param {Game} game */
async function recognised(game) {
  if (game.state.phase !== "playing") return;
  showPhase(game.state, "waiting");
  say("Wait\u2026 I see it!");
  await sendEnd(game.outbox, game.state, "timeout");
}

/** @param {Game} game @param {RoundEnded} answer */
function ended(game, answer) {
  if (game.state.phase === "ended" || game.state.phase === "ready") return;
  clearTimeout(game.waitingTimer);
  showEnd(game.state, answer);
  if (answer.status === "recognised" || answer.status === "timed_out") {
    drawPartnersView(game.pen, game.state);
  }
  // While the result is looked at, the next picture is fetched: Next is then immediate.
  game.coming = fetchRound(game, false);
  game.coming.catch(() => {}); // told when it is wanted
}

/** The server will never take a message as it is. @param {Game} game
 * @param {import("../../studies/pages/outbox.js").Entry} entry @param {Problem} problem */
export function refused(game, entry, problem) {
  const { state } = game;
  if (entry.key !== state.round || state.phase === "ready") return;
  const has = problem.facts.stored;
  if (problem.status === 409 && typeof has === "number" && has < state.sent) {
    state.sent = has; // a gap: everything from there on is sent again
    void (has === 0 ? sendStart(game.outbox, state) : Promise.resolve())
      .then(() => sendBubbles(game.outbox, state));
    return;
  }
  void explain(game, problem);
}

/** The page is hidden or left. @param {Game} game */
export function hidden(game) {
  if (game.state.phase !== "playing") return;
  sendFarewell(game.state);
  void endRound(game, "hidden", null);
}
