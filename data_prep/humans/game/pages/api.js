import { request } from "../../studies/pages/request.js";

/** @typedef {import("./wire.js").RoundGiven} RoundGiven */

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

/** @param {string} email "" takes the stored one away */
export async function putContact(email) {
  await request("POST", "/api/contact", { email });
}

/** @param {string} text */
export async function report(text) {
  await request("POST", "/api/report", { text });
}
