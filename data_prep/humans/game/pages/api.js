import { request } from "../../studies/pages/request.js";

/** @typedef {import("./wire.js").SessionGiven} SessionGiven
 * @typedef {import("./wire.js").RoundGiven} RoundGiven
 * @typedef {import("./wire.js").RoundEnded} RoundEnded */

// Names of recruitment services' parameters; others in the address are nobody's business.
const RECRUITMENT = [
  "PROLIFIC_PID", "STUDY_ID", "SESSION_ID", "workerId", "hitId", "assignmentId", "pid", "study", "session",
];

/** Who we are; the server sets the cookie.
 * @param {string} search the address's parameters @returns {Promise<SessionGiven>} */
export async function askSession(search) {
  const given = new URLSearchParams(search);
  /** @type {Record<string, string>} */
  const recruitment = {};
  for (const name of RECRUITMENT) {
    const value = given.get(name);
    if (value !== null && value.length <= 200) recruitment[name] = value;
  }
  const canvas = document.getElementById("canvas");
  const answer = await request("POST", "/api/session", {
    recruitment,
    touch: navigator.maxTouchPoints > 0,
    canvas_css_px: canvas ? canvas.getBoundingClientRect().width : null,
    device_pixel_ratio: devicePixelRatio,
  });
  return answer.json();
}

/** @param {number} version @param {boolean} accepted */
export async function giveConsent(version, accepted) {
  await request("POST", "/api/consent", { version, accepted });
}

/** @param {string} tab @param {boolean} takeOver @returns {Promise<RoundGiven>} */
export async function askRound(tab, takeOver) {
  return (await request("POST", "/api/rounds", { tab, take_over: takeOver })).json();
}

/** A round's picture, decoded. @param {string} address @returns {Promise<ImageBitmap>} */
export async function askPicture(address) {
  return createImageBitmap(await (await request("GET", address)).blob());
}

/** @param {boolean} allTime */
export async function askLeaderboard(allTime) {
  return (await request("GET", `/api/leaderboard?all_time=${allTime}`)).json();
}

export async function askAbout() {
  return (await request("GET", "/api/about")).json();
}

export async function askMe() {
  return (await request("GET", "/api/me")).json();
}

export async function withdraw() {
  await request("DELETE", "/api/me");
}

/** @param {string} email "" takes the stored one away */
export async function putContact(email) {
  await request("POST", "/api/contact", { email });
}

/** @param {string} text */
export async function report(text) {
  await request("POST", "/api/report", { text });
}
