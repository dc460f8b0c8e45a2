import { element } from "../../studies/pages/element.js";

export const SIDE = 256; // px of a stimulus

/** @typedef {object} Stage
 * @property {HTMLCanvasElement} canvas
 * @property {(phase: import("./phases.js").Phase, image: ImageBitmap) => void} draw */

/** The canvas that all trials draw on. It stays from trial to trial: nothing flashes between them.
 *
 * Without `cssSide` the stimulus has whole device pixels: 256 of them, or 512, ... a side.
 * @param {{ cssSide?: number, photodiode: boolean }} options @returns {Stage} */
export function openStage({ cssSide, photodiode }) {
  const canvas = element("stage", HTMLCanvasElement);
  const scale = Math.max(1, Math.round(devicePixelRatio));
  canvas.width = canvas.height = SIDE * scale;
  const side = cssSide ?? (SIDE * scale) / devicePixelRatio;
  canvas.style.width = canvas.style.height = `${side}px`;
  const pen = opaque(canvas);
  pen.imageSmoothingEnabled = cssSide !== undefined;
  const diode = element("diode", HTMLCanvasElement);
  diode.hidden = !photodiode;
  const light = opaque(diode);
  const whole = canvas.width;
  pen.fillStyle = "white";
  pen.fillRect(0, 0, whole, whole);

  /** @type {Stage["draw"]} */
  function draw(phase, image) {
    pen.fillStyle = "white";
    pen.fillRect(0, 0, whole, whole);
    if (phase === "stimulus") pen.drawImage(image, 0, 0, whole, whole);
    if (phase === "fixation") {
      pen.fillStyle = "black";
      pen.fillRect(whole / 2 - 10 * scale, whole / 2 - scale, 20 * scale, 2 * scale);
      pen.fillRect(whole / 2 - scale, whole / 2 - 10 * scale, 2 * scale, 20 * scale);
    }
    light.fillStyle = phase === "stimulus" ? "white" : "black";
    light.fillRect(0, 0, diode.width, diode.height);
  }
  return { canvas, draw };
}

/** Opaque, so that the browser need not mix it with what is beneath.
 * @param {HTMLCanvasElement} canvas */
function opaque(canvas) {
  const pen = canvas.getContext("2d", { alpha: false });
  if (!pen) throw new Error("this browser does not draw");
  return pen;
}
