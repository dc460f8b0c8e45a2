import { element } from "../../studies/pages/element.js";
import { Problem } from "../../studies/pages/request.js";
import { giveConsent } from "./api.js";
import { beginPage } from "./frame.js";

const session = await beginPage(false);
const text = element("text", HTMLElement);
for (const paragraph of session.consent_text.split(/\n\s*\n/)) {
  const part = document.createElement("p");
  part.textContent = paragraph.trim();
  text.append(part);
}
const kept = element("kept", HTMLElement);
kept.hidden = !session.retention_date;
kept.textContent = `Data are kept until ${session.retention_date}.`;
const accept = element("accept", HTMLButtonElement);
accept.disabled = false;
if (session.consent_accepted) accept.textContent = "Play on";

accept.addEventListener("click", async () => {
  accept.disabled = true;
  try {
    if (!session.consent_accepted) await giveConsent(session.consent_version, true);
    location.assign(session.consent_accepted ? "/play" : "/instructions");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    element("trouble", HTMLElement).textContent = `${error.message} ${error.remedy}`;
    accept.disabled = false;
  }
});
