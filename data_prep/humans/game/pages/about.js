import { element } from "../../studies/pages/element.js";
import { Problem } from "../../studies/pages/request.js";
import { askAbout, report } from "./api.js";
import { beginPage } from "./frame.js";

await beginPage(false);
const about = await askAbout();

/** @param {string} id @param {[string, unknown][]} facts */
function list(id, facts) {
  for (const [name, value] of facts) {
    const [term, said] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name.replaceAll("_", " ");
    said.textContent = String(value);
    element(id, HTMLElement).append(term, said);
  }
}

list("rules", Object.entries(about.rules));
list("partner", Object.entries(about.partner));
const kept = about.retention_date ? `Data are kept until ${about.retention_date}. ` : "";
const maps = about.withdrawn_maps === "delete" ? "are deleted" : "stay, without any link to you";
element("kept", HTMLElement).textContent = `${kept}When you withdraw, your maps ${maps}.`;
element("contact", HTMLElement).textContent = about.contact ? `Questions: ${about.contact}` : "";

element("report", HTMLFormElement).addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = element("report-text", HTMLTextAreaElement);
  const sent = element("report-sent", HTMLElement);
  try {
    await report(text.value);
    text.value = "";
    sent.textContent = "Thank you, it has arrived.";
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    sent.textContent = `${error.message} ${error.remedy}`;
  }
});
