import { element } from "../../studies/pages/element.js";
import { showMyData } from "../../studies/pages/my_data.js";
import { Problem } from "../../studies/pages/request.js";
import { putContact } from "./api.js";
import { beginPage } from "./frame.js";

/** @param {Record<string, any>} mine */
function facts(mine) {
  const painted = mine.rounds.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.painted.length, 0);
  return `${mine.rounds.length} ${mine.rounds.length === 1 ? "round" : "rounds"}, ${painted} bubbles.`;
}

const mine = await showMyData(await beginPage(false), facts, () => {
  indexedDB.deleteDatabase("clickme"); // what was still to be sent
});
const [email, save] = [element("email", HTMLInputElement), element("save", HTMLButtonElement)];
email.value = mine.contacts[0]?.email ?? "";
email.disabled = save.disabled = false; // not before, or what is typed would be overwritten
element("contact", HTMLFormElement).addEventListener("submit", async (event) => {
  event.preventDefault();
  const [address, saved] = [email.value.trim(), element("contact-saved", HTMLElement)];
  try {
    await putContact(address);
    saved.textContent = address ? "Saved." : "No address is stored.";
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    saved.textContent = error.status === 422 ? "This is no e-mail address." : `${error.message} ${error.remedy}`;
  }
});
