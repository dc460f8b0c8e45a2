import { announce, element } from "../../studies/pages/element.js";

/** @typedef {import("./state.js").State} State
 * @typedef {import("./wire.js").RoundEnded} RoundEnded */

const LATE_MS = 2000; // the bar turns red, and screen readers hear it

/** What is said when a round ends, and whether it is a success.
 * @type {Record<string, string>} */
const ENDS = {
  recognised: "Got it!",
  timed_out: "Time is up. I did not get it.",
  skipped: "Skipped.",
  hidden: "This round ended when the page was hidden or left.",
  abandoned: "The connection was lost, so this round does not count.",
  released: "This picture was returned.",
  voided: "This round does not count.",
};

/** Shows a phase of the round; what it looks like is the style sheet's business.
 * @param {State} state @param {State["phase"]} phase */
export function showPhase(state, phase) {
  state.phase = phase;
  const main = element("main", HTMLElement);
  main.dataset.phase = phase;
  if (phase !== "ended") delete main.dataset.result;
  element("next", HTMLElement).hidden = phase !== "ended";
  element("skip", HTMLButtonElement).disabled = phase !== "ready" && phase !== "playing";
  element("trouble", HTMLElement).hidden = phase !== "trouble";
  if (phase !== "ended") for (const id of ["worth", "guesses"]) element(id, HTMLElement).hidden = true;
}

/** A picture is there, the clock is not running. @param {State} state */
export function showReady(state) {
  showPhase(state, "ready");
  element("label", HTMLElement).textContent = state.label;
  const canvas = element("canvas", HTMLCanvasElement);
  canvas.setAttribute("aria-label", `Picture of ${withArticle(state.label)}. Click to paint; or Space, then arrow keys.`);
  showTime(state, 0);
  say(`Show me what makes it ${withArticle(state.label)}.`);
}

/** "a cat", "an owl". @param {string} label */
function withArticle(label) {
  return `${/^[aeiou]/i.test(label) ? "an" : "a"} ${label}`;
}

/** @param {string} text */
export function say(text) {
  element("says", HTMLElement).textContent = text;
}

// What the partner says once it has seen so many bubbles and does not know yet: it looks, which one
// can see, but tells no guesses, which would steer the brush. Few words, for screen readers' sake.
/** @type {[number, string][]} */
const LOOKED = [
  [80, "I still do not see it\u2026"],
  [40, "Hmm. Another part, perhaps\u2026"],
  [10, "Not yet. Show me more\u2026"],
];

/** @param {number} bubbles in the newest question that the partner answered */
export function sayLooked(bubbles) {
  const words = LOOKED.find(([least]) => bubbles >= least)?.[1];
  if (words && words !== element("says", HTMLElement).textContent) say(words);
}

/** Draws the time that is left; once, when it gets late, it is also said.
 * @param {State} state @param {number} elapsedMs */
export function showTime(state, elapsedMs) {
  const left = Math.max(0, state.limits.limit_ms - elapsedMs);
  const bar = element("bar", HTMLElement);
  bar.style.transform = `scaleX(${left / state.limits.limit_ms})`;
  const late = left <= LATE_MS && elapsedMs > 0;
  if (late && !bar.classList.contains("late")) announce("Two seconds left.");
  bar.classList.toggle("late", late);
  element("clock", HTMLElement).textContent = `${(left / 1000).toFixed(1)} s`;
}

/** The eyes follow the brush. @param {State} state */
export function showEyes(state) {
  const [x, y] = state.brush;
  const eyes = element("eyes", SVGElement);
  eyes.setAttribute("transform", `translate(${(x - 128) / 14} ${(y - 128) / 16})`);
}

/** @param {State} state @param {RoundEnded} ended */
export function showEnd(state, ended) {
  showPhase(state, "ended");
  const won = ended.status === "recognised";
  element("main", HTMLElement).dataset.result = won ? "recognised" : "missed";
  say(won ? `${ENDS.recognised} It is ${withArticle(state.label)}.` : (ENDS[ended.status] ?? "The round is over."));
  const worth = element("worth", HTMLElement);
  worth.hidden = !won;
  worth.textContent = `+${Math.round(ended.points ?? 0)} points`;
  const guesses = element("guesses", HTMLElement);
  guesses.hidden = won || ended.guesses.length === 0 || ended.status === "skipped";
  guesses.textContent = `I thought of: ${ended.guesses.slice(0, 3).join(", ")}.`;
  showTotal(ended);
  // Else Enter would be lost on a button that is gone. Not stolen from somebody in a dialog.
  if (!document.querySelector("dialog[open]")) element("next", HTMLElement).focus();
}

/** @param {RoundEnded} ended */
function showTotal(ended) {
  const rank = ended.rank === null ? "" : ` \u00b7 rank ${ended.rank}`;
  element("total", HTMLElement).textContent = String(Math.round(ended.total_points));
  element("rank", HTMLElement).textContent = rank;
}

/** @param {State} state @param {string} title @param {string} remedy @param {string} action
 * @param {string} finish address to leave by; "" for none */
export function showTrouble(state, title, remedy, action, finish) {
  showPhase(state, "trouble");
  element("trouble-title", HTMLElement).textContent = title;
  element("trouble-remedy", HTMLElement).textContent = remedy;
  const retry = element("retry", HTMLButtonElement);
  retry.textContent = action;
  retry.hidden = !action;
  const leave = element("finish", HTMLAnchorElement);
  leave.hidden = !finish;
  if (finish) leave.href = finish;
}
