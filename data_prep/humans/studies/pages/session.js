import { request } from "./request.js";

/** @typedef {object} Session
 * @property {string} display_name
 * @property {number} consent_version
 * @property {string} consent_text
 * @property {boolean} consent_accepted
 * @property {string} demo
 * @property {string} contact
 * @property {string} retention_date */

// Names of recruitment services' parameters; others in the address are nobody's business.
const RECRUITMENT = [
  "PROLIFIC_PID", "STUDY_ID", "SESSION_ID", "workerId", "hitId", "assignmentId", "pid", "study", "session",
];

/** Who we are; the server sets the cookie.
 * @param {string} search the address's parameters @returns {Promise<Session>} */
export async function askSession(search) {
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
    device_pixel_ratio: devicePixelRatio,
  });
  return answer.json();
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
