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
  else if (name !== "run" && navigator.userActivation?.hasBeenActive) focusHeading(name);
}

/** The button that led here is gone: who uses keys or a screen reader goes on from the heading.
 * @param {string} name */
function focusHeading(name) {
  const heading = document.querySelector(`section[data-screen="${name}"] h1`);
  if (!(heading instanceof HTMLElement)) return;
  heading.tabIndex = -1;
  heading.focus();
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
 * @param {string} text @param {boolean} [canRetry] @param {string} [title] @returns {Promise<never>} */
export function stop(text, canRetry = false, title = "This does not work") {
  element("problem-title", HTMLElement).textContent = title;
  show("problem");
  element("problem", HTMLElement).textContent = text;
  const again = element("again", HTMLButtonElement);
  again.hidden = !canRetry;
  again.addEventListener("click", () => location.reload());
  return new Promise(() => {});
}
