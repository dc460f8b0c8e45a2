import { showConsent } from "../../studies/pages/consent.js";
import { element } from "../../studies/pages/element.js";
import { giveConsent } from "../../studies/pages/session.js";
import { show, stop, until, untilSent, write } from "./screens.js";

/** @typedef {import("./wire.js").GateValues} GateValues
 * @typedef {import("./wire.js").ListGiven} ListGiven */

const [CARD_MM, CARD_HEIGHT_MM] = [85.6, 53.98]; // ISO/IEC 7810 ID-1
const ARM_MM = 570; // where a degree is a centimetre
const CHECK_TRIES = 2;

/** @param {import("../../studies/pages/wire.js").SessionGiven} session */
export async function askConsent(session) {
  if (session.consent_accepted) return;
  showConsent(session);
  await until("consent", "accept");
  await giveConsent(session.consent_version, true);
}

/** Pixels (CSS) of a millimetre, by a bank card. @returns {Promise<number>} */
export async function calibrate() {
  const [slider, card] = [element("card-width", HTMLInputElement), element("bank-card", HTMLElement)];
  let width = 0;
  const draw = () => {
    card.style.width = `${slider.value}px`;
    width = card.getBoundingClientRect().width; // a frame as wide as the page grows no further
    card.style.height = `${(width * CARD_HEIGHT_MM) / CARD_MM}px`;
  };
  slider.addEventListener("input", draw);
  const fits = until("calibration", "calibrated");
  draw(); // once it is in sight: before, it has no width
  slider.focus(); // so that the arrow keys move it
  await fits;
  return width / CARD_MM;
}

/** Side in CSS pixels of a square of so many degrees at an arm's length.
 * @param {number} degrees @param {number} pxPerMm */
export function sideOf(degrees, pxPerMm) {
  return 2 * ARM_MM * Math.tan((degrees * Math.PI) / 360) * pxPerMm;
}

/** Explains the task. @returns {Promise<boolean>} whether both questions were answered right */
export async function instruct() {
  for (let tries = 1; tries <= CHECK_TRIES; tries += 1) {
    const given = await untilSent("instructions", "check");
    if (given.get("when") === "picture" && given.get("unsure") === "guess") return true;
    element("check-again", HTMLElement).textContent = "Not quite. Please read the three steps again.";
    element("check", HTMLFormElement).reset();
  }
  return false;
}

/** Names of the two keys on this person's keyboard, which may not be S and L. */
export async function letters() {
  const keyboard = /** @type {any} */ (navigator).keyboard;
  try {
    const map = await keyboard.getLayoutMap();
    return { KeyS: (map.get("KeyS") ?? "s").toUpperCase(), KeyL: (map.get("KeyL") ?? "l").toUpperCase() };
  } catch {
    return { KeyS: "S", KeyL: "L" }; // not every browser tells
  }
}

/** Says which key means what. @param {ListGiven} given @param {{ KeyS: string, KeyL: string }} names */
export function tellKeys(given, names) {
  const { target_name: target, distractor_name: distractor } = given.rules;
  const left = given.target_key === "KeyS" ? target : distractor;
  const right = given.target_key === "KeyS" ? distractor : target;
  for (const [side, key, means] of /** @type {const} */ ([["left", names.KeyS, left], ["right", names.KeyL, right]])) {
    element(`${side}-key`, HTMLElement).textContent = key;
    element(`${side}-means`, HTMLElement).textContent = means;
    write(`${side}-key`, key);
    write(`${side}-means`, means);
  }
}

/** Full screen is offered; without it all goes the same way. */
export function offerFullscreen() {
  element("fullscreen", HTMLButtonElement).addEventListener("click", () => {
    document.documentElement.requestFullscreen().catch(() => {});
  });
}

/** Holds the browser for this tab; a second one is told so. */
export function onlyTab() {
  return new Promise((resolve) => {
    void navigator.locks.request("psychophysics", { ifAvailable: true }, (lock) => {
      if (!lock) void stop("This experiment is open in another tab. Go on there, or close it and try again here.", true, "Go on in the other tab");
      else resolve(undefined);
      return new Promise(() => {}); // held as long as the page lives
    });
  });
}

/** @param {string} text */
export function wait(text) {
  show("loading");
  element("progress", HTMLElement).textContent = text;
}
