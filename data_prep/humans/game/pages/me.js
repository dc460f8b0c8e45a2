import { element } from "../../studies/pages/element.js";
import { Problem } from "../../studies/pages/request.js";
import { askMe, putContact, withdraw } from "./api.js";
import { beginPage } from "./frame.js";

const session = await beginPage(false);
element("who", HTMLElement).textContent = session.display_name;
const mine = await askMe().catch((error) => {
  if (!(error instanceof Problem)) throw error;
  element("card", HTMLElement).textContent = `${error.message} ${error.remedy}`;
  return new Promise(() => {}); // nothing else of this page makes sense then
});
element("all", HTMLElement).textContent = JSON.stringify(mine, null, 2);
const painted = mine.rounds.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.painted.length, 0);
element("facts", HTMLElement).textContent = `${mine.rounds.length} ${mine.rounds.length === 1 ? "round" : "rounds"}, ${painted} bubbles.`;

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

const sure = element("sure", HTMLDialogElement);
element("withdraw", HTMLButtonElement).addEventListener("click", () => sure.showModal());
sure.addEventListener("close", async () => {
  if (sure.returnValue !== "yes") return;
  await withdraw();
  indexedDB.deleteDatabase("clickme"); // what was still to be sent
  element("withdraw", HTMLButtonElement).disabled = true;
  element("all", HTMLElement).textContent = "";
  element("facts", HTMLElement).textContent = "";
  element("done", HTMLElement).textContent = "Done. Nothing here leads to you any more. Thank you for having played.";
});
