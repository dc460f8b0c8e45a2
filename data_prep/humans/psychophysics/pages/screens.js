import { element } from "../../studies/pages/element.js";

/** Shows one section of the page, and hides the others.
 * @param {string} name */
export function show(name) {
  for (const section of document.querySelectorAll("section[data-screen]")) {
    section.toggleAttribute("hidden", section.getAttribute("data-screen") !== name);
  }
  element("main", HTMLElement).dataset.screen = name;
  document.body.toggleAttribute("data-running", name === "run");
  if (name === "run" && document.activeElement instanceof HTMLElement) document.activeElement.blur();
}

/** Shows a screen until its button is pressed.
 * @param {string} name @param {string} button */
export function until(name, button) {
  show(name);
  return new Promise((resolve) => element(button, HTMLButtonElement).addEventListener("click", resolve, { once: true }));
}

/** Shows a screen until its form is sent.
 * @param {string} name @param {string} form @returns {Promise<FormData>} */
export function untilSent(name, form) {
  show(name);
  const found = element(form, HTMLFormElement);
  return new Promise((resolve) => {
    found.addEventListener("submit", (event) => {
      event.preventDefault();
      resolve(new FormData(found));
    }, { once: true });
  });
}

/** Writes into all elements of a class.
 * @param {string} className @param {string} text */
export function write(className, text) {
  for (const one of document.getElementsByClassName(className)) one.textContent = text;
}

/** Ends the visit with a reason.
 * @param {string} text @param {boolean} [canRetry] @returns {Promise<never>} */
export function stop(text, canRetry = false) {
  show("problem");
  element("problem", HTMLElement).textContent = text;
  const again = element("again", HTMLButtonElement);
  again.hidden = !canRetry;
  again.addEventListener("click", () => location.reload());
  return new Promise(() => {});
}
