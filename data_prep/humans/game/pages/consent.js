import { showConsent } from "../../studies/pages/consent.js";
import { element } from "../../studies/pages/element.js";
import { Problem } from "../../studies/pages/request.js";
import { giveConsent } from "../../studies/pages/session.js";
import { beginPage } from "./frame.js";

const session = await beginPage(false);
showConsent(session);
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
