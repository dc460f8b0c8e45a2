import { element } from "./element.js";
import { Problem } from "./request.js";
import { askMe, withdraw } from "./session.js";

/** Shows everything that is stored about a person, who may withdraw below it.
 * @param {import("./wire.js").SessionGiven} session
 * @param {(mine: Record<string, any>) => string} facts what it comes to, in words
 * @param {() => void} forget what this browser keeps, after withdrawal
 * @returns {Promise<Record<string, any>>} it all */
export async function showMyData(session, facts, forget) {
  element("who", HTMLElement).textContent = session.display_name;
  const mine = await askMe().catch((error) => {
    if (!(error instanceof Problem)) throw error;
    element("card", HTMLElement).textContent = `${error.message} ${error.remedy}`;
    return new Promise(() => {}); // nothing else of the page makes sense then
  });
  element("all", HTMLElement).textContent = JSON.stringify(mine, null, 2);
  element("facts", HTMLElement).textContent = facts(mine);
  const sure = element("sure", HTMLDialogElement);
  element("withdraw", HTMLButtonElement).addEventListener("click", () => sure.showModal());
  sure.addEventListener("close", async () => {
    if (sure.returnValue !== "yes") return;
    await withdraw();
    forget();
    element("withdraw", HTMLButtonElement).disabled = true;
    element("all", HTMLElement).textContent = "";
    element("facts", HTMLElement).textContent = "";
    element("gone", HTMLElement).textContent = "Done. Nothing here leads to you any more. Thank you for having taken part.";
  });
  return mine;
}
