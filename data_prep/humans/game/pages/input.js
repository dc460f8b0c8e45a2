import { inFrame, rounded } from "./rules.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {import("./state.js").Input} Input
 * @typedef {import("./rules.js").Place} Place
 *
 * @typedef {object} Wishes what a hand may ask for; the page decides
 * @property {(at: Place, stamp: number, input: Input) => void} begin
 * @property {() => void} cancel the system took the pointer away
 * @property {() => void} next
 * @property {() => void} skip
 */

const MOST_RAW = 1200; // 64 kB, what the server takes at once

/** Listens to pointer and keys; writes the cursor into the state and asks for the rest.
 * @param {HTMLCanvasElement} canvas @param {State} state @param {Wishes} wishes */
export function listen(canvas, state, wishes) {
  canvas.addEventListener("pointerdown", (event) => {
    event.preventDefault(); // no selection, no drag of the picture
    canvas.focus({ preventScroll: true });
    const at = placeOf(canvas, event);
    if (state.phase === "ready") wishes.begin(at, event.timeStamp, inputOf(event));
    else moveTo(state, at, event);
  });
  canvas.addEventListener("pointermove", (event) => {
    // The browser packs moves into one event a frame; the brush needs the last, the record all.
    for (const one of event.getCoalescedEvents?.() ?? [event]) keep(state, one, placeOf(canvas, one));
    moveTo(state, placeOf(canvas, event), event);
  });
  canvas.addEventListener("pointercancel", () => wishes.cancel());
  canvas.addEventListener("contextmenu", (event) => event.preventDefault()); // long press on phones
  addEventListener("keydown", (event) => keyDown(canvas, state, wishes, event));
  addEventListener("keyup", (event) => state.keys.delete(event.key));
  addEventListener("blur", () => state.keys.clear()); // its keyup will never come
}

/** @param {HTMLCanvasElement} canvas @param {State} state @param {Wishes} wishes
 * @param {KeyboardEvent} event */
function keyDown(canvas, state, wishes, event) {
  const busy = event.target instanceof HTMLElement && event.target !== canvas;
  const typing = busy && event.target.matches("input, textarea, button, a, dialog *");
  if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
  if (event.key === " " && state.phase === "ready") {
    event.preventDefault();
    wishes.begin([128, 128], event.timeStamp, "keyboard");
  } else if (event.key.startsWith("Arrow") && state.phase === "playing") {
    event.preventDefault(); // the page would scroll
    state.keys.add(event.key);
    state.moves += 1;
  } else if (event.key === "Enter" && state.phase === "ended") {
    event.preventDefault();
    wishes.next();
  } else if (event.key.toLowerCase() === "s") {
    wishes.skip();
  }
}

/** @param {State} state @param {Place} at @param {PointerEvent} event */
function moveTo(state, at, event) {
  if (state.phase !== "playing") return;
  state.cursor = at;
  state.moves += 1;
  keep(state, event, at);
}

/** @param {State} state @param {PointerEvent} event @param {Place} at */
function keep(state, event, at) {
  if (!state.keepRaw || state.phase !== "playing" || state.raw.length >= MOST_RAW) return;
  const [x, y] = rounded(at);
  state.raw.push([event.type.slice(0, 12), x, y, Math.round(event.timeStamp - state.clickedAt)]);
}

/** From CSS pixels, of whatever size the canvas is shown, to the 256 frame.
 * @param {HTMLCanvasElement} canvas @param {PointerEvent} event @returns {Place} */
function placeOf(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * 256;
  return inFrame([x, ((event.clientY - box.top) / box.height) * 256]);
}

/** @param {PointerEvent} event @returns {Input} */
function inputOf(event) {
  return event.pointerType === "touch" || event.pointerType === "pen" ? event.pointerType : "mouse";
}
