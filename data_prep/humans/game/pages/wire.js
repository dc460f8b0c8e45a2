// Written from data_prep/humans/game/messages.py by tests/browser/wire_types.py; a test compares.

/** @typedef {object} RoundGiven
 * @property {string} round
 * @property {string} image
 * @property {string} label
 * @property {Limits} limits
 * @property {boolean} keep_raw
 */

/** @typedef {object} Limits
 * @property {number} limit_ms
 * @property {number} grace_ms
 * @property {number} bubble_side
 * @property {number} partner_bubble_side
 * @property {number} brush_tick_ms
 * @property {number} brush_step
 * @property {number} query_every
 * @property {string} after_recognition
 * @property {string} background
 * @property {string} score
 */

/** @typedef {object} Started
 * @property {number} elapsed_ms
 * @property {string} status
 */

/** @typedef {object} BubblesStored
 * @property {number} stored
 * @property {number} evaluated
 * @property {string} status
 * @property {number | null} points
 * @property {boolean} partner_is_slow
 */

/** @typedef {object} RoundEnded
 * @property {string} status
 * @property {number | null} points
 * @property {string[]} guesses
 * @property {number} total_points
 * @property {number} recognised
 * @property {number | null} rank
 * @property {string[]} flags
 */

export {};
