import { element } from "../../studies/pages/element.js";
import { Problem } from "../../studies/pages/request.js";
import { askAbout, report } from "./api.js";
import { beginPage } from "./frame.js";

await beginPage(false);
const about = await askAbout();

/** As people read it: "limit_ms: 7000" is "limit: 7 s".
 * @param {string} name @param {unknown} value @returns {[string, string]} */
function readable(name, value) {
  const words = name.replace(/_(ms|side|crop|step)$/, (end) => (end === "_ms" ? "" : end)).replaceAll("_", " ");
  if (name.endsWith("_ms")) return [words, `${Number(value) / 1000} s`];
  if (/(side|crop|step)$/.test(name)) return [words, `${value} px`];
  return [words, String(value).replaceAll("_", " ")];
}

/** @param {string} id @param {[string, unknown][]} facts */
function list(id, facts) {
  for (const [name, value] of facts) {
    const [term, said] = [document.createElement("dt"), document.createElement("dd")];
    [term.textContent, said.textContent] = readable(name, value);
    element(id, HTMLElement).append(term, said);
  }
}

const { limit_ms, bubble_side, partner_bubble_side, query_every, top_k } = about.rules;
element("in-short", HTMLElement).textContent =
  `A round lasts ${limit_ms / 1000} s from the first click. You paint squares of ${bubble_side} px of the picture's 256; ` +
  `your partner sees squares of ${partner_bubble_side} px there, and is asked after every ${query_every}. It has ` +
  `recognised the picture when the word is ${top_k === 1 ? "its best guess" : `among its ${top_k} best guesses`}.`;
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
