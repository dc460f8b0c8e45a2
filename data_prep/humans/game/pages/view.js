import { FRAME, squareOf } from "./rules.js";

/** @typedef {import("./state.js").State} State */

const PAINT = "rgb(255 209 102 / 30%)"; // translucent 0.3, as on the original site
const MEAN = "rgb(124 116 104)"; // what the partner sees where nothing is painted

/** Draws the whole picture: at a round's beginning only.
 * @param {CanvasRenderingContext2D} pen @param {State} state */
export function drawPicture(pen, state) {
  scale(pen);
  if (state.image) pen.drawImage(state.image, 0, 0, FRAME, FRAME);
  state.drawn = 0;
}

/** Draws the bubbles that are new, and nothing else.
 * @param {CanvasRenderingContext2D} pen @param {State} state */
export function drawBubbles(pen, state) {
  scale(pen);
  pen.fillStyle = PAINT;
  for (; state.drawn < state.bubbles.length; state.drawn += 1) {
    const [x, y] = state.bubbles[state.drawn] ?? [0, 0];
    const [left, top, side] = squareOf(x, y, state.limits.bubble_side);
    pen.fillRect(left, top, side, side);
  }
}

/** Draws what the partner saw: its bubbles, larger than ours, and grey elsewhere.
 * @param {CanvasRenderingContext2D} pen @param {State} state */
export function drawPartnersView(pen, state) {
  if (!state.image) return;
  scale(pen);
  pen.fillStyle = MEAN;
  pen.fillRect(0, 0, FRAME, FRAME);
  const shown = new Path2D();
  for (const [x, y] of state.bubbles) {
    const side = state.limits.partner_bubble_side;
    shown.rect(Math.floor(x + 0.5) - Math.floor(side / 2), Math.floor(y + 0.5) - Math.floor(side / 2), side, side);
  }
  pen.save();
  pen.clip(shown);
  pen.drawImage(state.image, 0, 0, FRAME, FRAME);
  pen.restore();
}

/** The canvas has more pixels than the frame, for sharp squares on large screens.
 * @param {CanvasRenderingContext2D} pen */
function scale(pen) {
  pen.setTransform(pen.canvas.width / FRAME, 0, 0, pen.canvas.height / FRAME, 0, 0);
  pen.imageSmoothingQuality = "high";
}
