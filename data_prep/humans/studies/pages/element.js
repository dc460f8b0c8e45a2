/** @template {Element} T
 * Finds an element that the page must have.
 * @param {string} id
 * @param {new () => T} type
 * @returns {T} */
export function element(id, type) {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new TypeError(`#${id} is not a ${type.name} of this page`);
  return found;
}

/** Shows text where screen readers announce it.
 * @param {string} text */
export function announce(text) {
  element("announcer", HTMLElement).textContent = text;
}
