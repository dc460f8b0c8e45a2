// Written from data_prep/humans/psychophysics/messages.py by tests/browser/wire_types.py; a test compares.

/** @typedef {object} GateValues
 * @property {boolean} desktop
 * @property {number} width
 * @property {number} height
 * @property {number} period_ms
 * @property {number} period_p95_ms
 * @property {boolean} canvas
 * @property {boolean} storage
 * @property {number} device_pixel_ratio
 * @property {boolean | null} comprehension
 * @property {number | null} px_per_mm
 * @property {string} layout
 * @property {string} browser
 * @property {string} system
 */

/** @typedef {object} GatePassed
 * @property {boolean} ok
 * @property {string} reason
 */

/** @typedef {object} Item
 * @property {number} index
 * @property {string} url
 * @property {string} sha256
 * @property {number} fixation_ms
 */

/** @typedef {object} Rules
 * @property {number} stimulus_ms
 * @property {number} blank_ms
 * @property {boolean} key_ends_trial
 * @property {boolean} photodiode
 * @property {number} block
 * @property {number} degrees
 * @property {string} target_name
 * @property {string} distractor_name
 */

/** @typedef {object} ListGiven
 * @property {string} list
 * @property {string} target_key
 * @property {Item[]} trials
 * @property {Item[]} training
 * @property {boolean} trained
 * @property {number} training_at
 * @property {number} resume_at
 * @property {Rules} rules
 * @property {boolean} simulation
 */

/** @typedef {object} TrainingJudged
 * @property {boolean | null} correct
 * @property {boolean} done
 */

/** @typedef {object} Feedback
 * @property {number} block
 * @property {number | null} accuracy
 * @property {number | null} rt_ms
 * @property {number} too_slow
 */

/** @typedef {object} TrialsStored
 * @property {number} stored
 * @property {number} next
 * @property {Feedback | null} feedback
 */

/** @typedef {object} Finished
 * @property {boolean} complete
 * @property {number} missing
 * @property {number} lost
 * @property {string} link
 */

export {};
