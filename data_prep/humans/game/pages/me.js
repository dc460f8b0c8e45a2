import { element } from "../../studies/pages/element.js";
import { askMe, withdraw } from "./api.js";
import { beginPage } from "./frame.js";

const session = await beginPage(false);
element("who", HTMLElement).textContent = session.display_name;
const mine = await askMe();
element("all", HTMLElement).textContent = JSON.stringify(mine, null, 2);
const painted = mine.rounds.reduce((/** @type {number} */ sum, /** @type {any} */ one) => sum + one.painted.length, 0);
element("facts", HTMLElement).textContent = `${mine.rounds.length} rounds, ${painted} bubbles.`;

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
