// Written from data_prep/humans/studies/messages.py by tests/browser/wire_types.py; a test compares.

/** @typedef {object} SessionGiven
 * @property {string} display_name
 * @property {number} consent_version
 * @property {string} consent_text
 * @property {boolean} consent_accepted
 * @property {string} demo
 * @property {string} contact
 * @property {string} retention_date
 */

export {};
