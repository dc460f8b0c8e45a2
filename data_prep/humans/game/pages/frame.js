import { beginSession } from "../../studies/pages/session.js";

/** Begins a page: says who we are, shows the demonstration's banner.
 * People who have not agreed are led to the first page.
 * @param {boolean} needsConsent @returns {Promise<import("../../studies/pages/wire.js").SessionGiven>} */
export async function beginPage(needsConsent) {
  const session = await beginSession(document.getElementById("canvas"));
  if (needsConsent && !session.consent_accepted) {
    location.replace("/" + location.search);
    await new Promise(() => {}); // the page is on its way out
  }
  return session;
}

/** The tab's own name: lives through a reload, is not shared with other tabs. */
export function tabName() {
  const known = sessionStorage.getItem("tab");
  if (known) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  const name = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem("tab", name);
  return name;
}
