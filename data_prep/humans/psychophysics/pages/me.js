import { element } from "../../studies/pages/element.js";
import { Problem } from "../../studies/pages/request.js";
import { askMe, askSession, withdraw } from "../../studies/pages/session.js";

const session = await askSession(location.search);
element("banner", HTMLElement).textContent = session.demo;
element("banner", HTMLElement).hidden = !session.demo;
element("who", HTMLElement).textContent = session.display_name;
const mine = await askMe().catch((error) => {
  if (!(error instanceof Problem)) throw error;
  element("card", HTMLElement).textContent = `${error.message} ${error.remedy}`;
  return new Promise(() => {}); // nothing else of this page makes sense then
});
element("all", HTMLElement).textContent = JSON.stringify(mine, null, 2);
element("facts", HTMLElement).textContent = `${mine.trials.length} answers.`;

const sure = element("sure", HTMLDialogElement);
element("withdraw", HTMLButtonElement).addEventListener("click", () => sure.showModal());
sure.addEventListener("close", async () => {
  if (sure.returnValue !== "yes") return;
  await withdraw();
  indexedDB.deleteDatabase("psychophysics"); // what was still to be sent
  localStorage.removeItem("psychophysics");
  element("withdraw", HTMLButtonElement).disabled = true;
  element("all", HTMLElement).textContent = "";
  element("facts", HTMLElement).textContent = "";
  element("gone", HTMLElement).textContent = "Done. Nothing here leads to you any more. Thank you for having taken part.";
});
