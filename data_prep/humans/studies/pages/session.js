import { element } from "./element.js";
import { request } from "./request.js";

/** @typedef {import("./wire.js").SessionGiven} SessionGiven */

// Names of recruitment services' parameters; others in the address are nobody's business.
const RECRUITMENT = [
  "PROLIFIC_PID", "STUDY_ID", "SESSION_ID", "workerId", "hitId", "assignmentId", "pid", "study", "session",
];

/** Who we are; the server sets the cookie.
 * @param {string} search the address's parameters
 * @param {Element | null} [canvas] what one works on: its size on the screen is told
 * @returns {Promise<SessionGiven>} */
export async function askSession(search, canvas = null) {
  const given = new URLSearchParams(search);
  /** @type {Record<string, string>} */
  const recruitment = {};
  for (const name of RECRUITMENT) {
    const value = given.get(name);
    if (value !== null && value.length <= 200) recruitment[name] = value;
  }
  const answer = await request("POST", "/api/session", {
    recruitment,
    touch: navigator.maxTouchPoints > 0,
    canvas_css_px: canvas ? canvas.getBoundingClientRect().width : null,
    device_pixel_ratio: devicePixelRatio,
  });
  return answer.json();
}

/** Begins a page: who we are, and the banner of a demonstration.
 * @param {Element | null} [canvas] as of `askSession` @returns {Promise<SessionGiven>} */
export async function beginSession(canvas = null) {
  const session = await askSession(location.search, canvas);
  const banner = element("banner", HTMLElement);
  banner.textContent = session.demo;
  banner.hidden = !session.demo;
  return session;
}

/** @param {number} version @param {boolean} accepted */
export async function giveConsent(version, accepted) {
  await request("POST", "/api/consent", { version, accepted });
}

/** @returns {Promise<Record<string, any>>} everything stored about oneself */
export async function askMe() {
  return (await request("GET", "/api/me")).json();
}

export async function withdraw() {
  await request("DELETE", "/api/me");
}
