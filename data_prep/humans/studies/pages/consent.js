import { element } from "./element.js";

/** Shows the text in #consent-text, a paragraph each, and in #kept how long data are kept.
 * @param {import("./wire.js").SessionGiven} session */
export function showConsent(session) {
  for (const paragraph of session.consent_text.split(/\n\s*\n/)) {
    const part = document.createElement("p");
    part.textContent = paragraph.trim();
    element("consent-text", HTMLElement).append(part);
  }
  const kept = element("kept", HTMLElement);
  kept.hidden = !session.retention_date;
  kept.textContent = `Data are kept until ${session.retention_date}.`;
}
