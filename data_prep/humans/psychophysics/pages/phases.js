/** @typedef {"fixation" | "stimulus" | "blank" | "done"} Phase
 *
 * @typedef {object} Plan
 * @property {number} fixation_ms
 * @property {number} stimulus_ms
 * @property {number} blank_ms
 * @property {number} period_ms of the screen, as measured
 * @property {boolean} key_ends_trial
 *
 * @typedef {object} Measured
 * @property {number} fixation_ms
 * @property {number} stimulus_ms
 * @property {number} blank_ms
 * @property {number} frames
 * @property {number} dropped frames that should have come between two that came
 * @property {number} longest_gap_ms
 * @property {number} onset_ms stamp of the frame that drew the stimulus */

const NEXT = /** @type {const} */ ({ fixation: "stimulus", stimulus: "blank", blank: "done", done: "done" });

/** From frames' stamps to phases; nothing here asks for the time.
 *
 * A phase ends in the first frame that is nearer to its planned end than the frame after would be:
 * elapsed >= planned - half a period. So plans in ms end on frames, at any rate. */
export class Phases {
  /** @param {Plan} plan */
  constructor(plan) {
    this.plan = plan;
    /** @type {Phase} */
    this.phase = "fixation";
    /** @type {Record<Phase, number | null>} stamps of the frames in which they began */
    this.began = { fixation: null, stimulus: null, blank: null, done: null };
    /** @type {number | null} */
    this.last = null;
    this.frames = 0;
    this.dropped = 0;
    this.longest = 0;
    this.answered = false;
  }

  /** Whether a key at this stamp is an answer: the stimulus has been drawn, and time is left. A blank
   * that lasts too long, since frames are missing, gives no more time.
   * @param {number} stamp @returns {"early" | "answer" | "late"} */
  takes(stamp) {
    const onset = this.began.stimulus;
    if (onset === null || stamp < onset) return "early";
    const { stimulus_ms, blank_ms, period_ms } = this.plan;
    return this.phase !== "done" && stamp - onset <= stimulus_ms + blank_ms + period_ms / 2 ? "answer" : "late";
  }

  /** An answer; it ends the trial only if the plan says so. */
  answer() {
    this.answered = true;
  }

  /** Takes the next frame's stamp; tells the phase to draw in it, and whether it is a new one.
   * @param {number} stamp @returns {{ phase: Phase, isNew: boolean }} */
  frame(stamp) {
    if (this.last !== null) this.count(stamp - this.last);
    this.last = stamp;
    this.frames += 1;
    const before = this.began[this.phase];
    if (before === null) {
      this.began[this.phase] = stamp;
      return { phase: this.phase, isNew: true };
    }
    const left = this.planned(this.phase) - (stamp - before);
    if (this.phase === "done" || left > this.plan.period_ms / 2) return { phase: this.phase, isNew: false };
    this.phase = this.cut() ? "done" : NEXT[this.phase];
    if (this.phase === "done") this.began.blank ??= stamp;
    this.began[this.phase] = stamp;
    return { phase: this.phase, isNew: true };
  }

  /** @param {Phase} phase */
  planned(phase) {
    if (phase === "done") return Infinity;
    if (this.cut()) return 0;
    return this.plan[/** @type {"fixation_ms"} */ (`${phase}_ms`)];
  }

  /** Whether an answer has ended the trial. */
  cut() {
    return this.plan.key_ends_trial && this.answered;
  }

  /** @param {number} gap */
  count(gap) {
    this.longest = Math.max(this.longest, gap);
    // A gap of 1.5 periods is one frame late by a rounding; from there on frames are missing.
    this.dropped += Math.max(0, Math.round(gap / this.plan.period_ms) - 1);
  }

  /** @returns {Measured} after the end */
  measured() {
    const { fixation, stimulus, blank, done } = this.began;
    if (fixation === null || stimulus === null || blank === null || done === null) {
      throw new Error("a trial is measured when it is done");
    }
    return {
      fixation_ms: stimulus - fixation,
      stimulus_ms: blank - stimulus,
      blank_ms: done - blank,
      frames: this.frames,
      dropped: this.dropped,
      longest_gap_ms: this.longest,
      onset_ms: stimulus,
    };
  }
}
