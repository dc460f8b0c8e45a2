import { element } from "../../studies/pages/element.js";
import { beginPage } from "./frame.js";
import { listen } from "./input.js";
import { run, SCREEN } from "./loop.js";
import { advance, begin, newState } from "./state.js";
import { drawBubbles, drawPicture } from "./view.js";

// Parts of the practice picture that give the cat away: left, top, right, bottom in the 256 frame.
const PARTS = [[52, 40, 100, 92], [156, 40, 204, 92], [82, 104, 116, 138], [140, 104, 174, 138]];
const ENOUGH = 0.4; // share of their area

await beginPage(true);
const canvas = element("canvas", HTMLCanvasElement);
const pen = canvas.getContext("2d");
if (!pen) throw new Error("This browser cannot draw.");
const image = new Image();
image.src = "/static/game/pages/practice.svg";
await image.decode();
const state = newState();
const says = element("practice-says", HTMLElement);

function restart() {
  Object.assign(state, newState(), { image, phase: "ready" });
  state.limits.limit_ms = 60_000; // in effect no clock
  drawPicture(/** @type {CanvasRenderingContext2D} */ (pen), state);
  says.textContent = "This one is for practice and has no clock: paint the cat.";
}

/** How much of the parts is under bubbles, 0 to 1. */
function covered() {
  let [hit, all] = [0, 0];
  for (const [left = 0, top = 0, right = 0, bottom = 0] of PARTS) {
    for (let y = top; y < bottom; y += 4) {
      for (let x = left; x < right; x += 4) {
        all += 1;
        hit += Number(state.bubbles.some(([bx, by]) => Math.abs(bx - x) <= 10 && Math.abs(by - y) <= 10));
      }
    }
  }
  return hit / all;
}

/** @param {number} stamp */
function frame(stamp) {
  if (state.phase !== "playing") return false;
  const over = advance(state, stamp);
  const before = state.drawn;
  drawBubbles(/** @type {CanvasRenderingContext2D} */ (pen), state);
  const share = state.drawn > before ? covered() : 0;
  if (share >= ENOUGH) {
    state.phase = "ended";
    says.textContent = "A cat! I got it from what you painted. In the game there is a clock.";
    return false;
  }
  if (share > 0) says.textContent = share > 0.15 ? "Pointed ears? Eyes? Go on\u2026" : "I cannot tell yet\u2026";
  return !over;
}

listen(canvas, state, {
  begin: (at, stamp, input) => {
    begin(state, at, stamp, input);
    run(SCREEN, frame);
  },
  cancel: restart,
  next: () => location.assign("/play"),
  skip: () => {},
});
element("again", HTMLButtonElement).addEventListener("click", restart);
restart();
