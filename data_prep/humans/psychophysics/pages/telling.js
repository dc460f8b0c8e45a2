import { element } from "../../studies/pages/element.js";
import { show } from "./screens.js";
import { KEYS } from "./watching.js";

/** @typedef {import("./run.js").Visit} Visit
 * @typedef {import("./wire.js").Feedback} Feedback */

const MESSAGE_MS = 700; // a message stays so long, whatever is pressed

/** Says what was wrong with a trial, until a key is pressed; a late key is noted.
 * @param {Visit} visit @param {Record<string, any>} row @param {string} judgement */
export async function tell(visit, row, judgement) {
  const early = row.early_keys ? "Wait for the picture. " : "";
  const slow = row.response === null ? "Too slow! " : "";
  const said = `${early}${slow}${judgement}`.trim();
  if (!said || visit.simulate) return;
  const message = element("message", HTMLElement);
  message.textContent = `${said} Press a key to go on.`;
  await visit.watcher.anyKey(MESSAGE_MS, (key) => {
    if (slow && KEYS.includes(key.code)) row.late_key_ms ??= key.stamp - row.onset_ms;
  });
  message.textContent = "";
}

/** How the block went, once everything has arrived: only the server knows what was right.
 * @param {Visit} visit @param {number} block @param {number[]} times of its answers, ms */
export async function tellBlock(visit, block, times) {
  await visit.outgoing.sendFor(0);
  const said = element("feedback", HTMLElement);
  show("block");
  element("start", HTMLButtonElement).hidden = true;
  const mean = times.reduce((sum, ms) => sum + ms, 0) / times.length;
  const speed = times.length ? ` You answered after ${Math.round(mean)} ms on average.` : "";
  said.textContent = `Storing your answers. If your line is down, they wait here and nothing is lost.${speed}`;
  while (!visit.feedback.has(block)) await new Promise((resolve) => setTimeout(resolve, 50));
  const { accuracy, rt_ms, too_slow } = /** @type {Feedback} */ (visit.feedback.get(block));
  const right = accuracy === null ? "no answer was in time." : `${Math.round(100 * accuracy)} % right, after ${Math.round(rt_ms ?? 0)} ms on average.`;
  said.textContent = `Block ${block + 1}: ${right}${too_slow ? ` Too slow: ${too_slow}.` : ""} Rest as long as you like.`;
  element("start", HTMLButtonElement).hidden = false;
}
