import { ParameterType } from "./vendor/jspsych.js";
import { Phases } from "./phases.js";

/** @typedef {import("./vendor/jspsych.js").JsPsych} JsPsych
 * @typedef {{ response?: string | null, rt_ms?: number | null }} Simulated
 *
 * @typedef {import("./phases.js").Plan & {
 *   image: () => ImageBitmap,
 *   stage: () => import("./stage.js").Stage,
 *   watch: () => import("./watching.js").Watcher,
 *   keys: string[],
 *   frames: ((call: (stamp: number) => void) => void) | null }} Parameters */

const REQUIRED = undefined; // jsPsych's word for a parameter without a default

/** A trial of rapid categorisation: fixation, stimulus, blank, on frames; one answer by key.
 *
 * Onset is the stamp of the frame that draws the stimulus, and an answer's time that of the key's
 * own event less the onset: one clock. An image and the canvas come by functions, since jsPsych
 * copies plain parameters. Nothing else runs in a trial: no network, no storage, no layout. */
export class RapidTrial {
  static info = {
    name: "rapid-trial",
    version: "1.0.0",
    parameters: {
      /** Gives the decoded stimulus. */
      image: { type: ParameterType.FUNCTION, default: REQUIRED },
      /** Gives the canvas to draw on. */
      stage: { type: ParameterType.FUNCTION, default: REQUIRED },
      /** Gives what keeps events of the window. */
      watch: { type: ParameterType.FUNCTION, default: REQUIRED },
      /** Fixation cross, ms; ends on a frame, as all durations. */
      fixation_ms: { type: ParameterType.FLOAT, default: REQUIRED },
      /** Stimulus, ms. */
      stimulus_ms: { type: ParameterType.FLOAT, default: 400 },
      /** Time to answer after the stimulus, ms. */
      blank_ms: { type: ParameterType.FLOAT, default: 150 },
      /** Keys by position (KeyboardEvent.code). */
      keys: { type: ParameterType.KEYS, default: ["KeyS", "KeyL"] },
      /** An answer ends the trial at the next frame. */
      key_ends_trial: { type: ParameterType.BOOL, default: false },
      /** Period of the screen, ms, as measured. */
      period_ms: { type: ParameterType.FLOAT, default: REQUIRED },
      /** Asks for a frame; null: requestAnimationFrame. */
      frames: { type: ParameterType.FUNCTION, default: null },
    },
    data: {
      /** Key of the answer by position; null: none in time. */
      response: { type: ParameterType.STRING },
      /** Key's stamp less onset, ms; null: none in time. */
      rt_ms: { type: ParameterType.FLOAT },
      /** Keys pressed before the stimulus; no answers. */
      early_keys: { type: ParameterType.INT },
      /** First key after the time to answer, ms from the onset; null: none. */
      late_key_ms: { type: ParameterType.FLOAT },
      /** Measured by stamps of frames, ms. */
      fixation_ms: { type: ParameterType.FLOAT },
      /** Measured, ms. */
      stimulus_ms: { type: ParameterType.FLOAT },
      /** Measured, ms. */
      blank_ms: { type: ParameterType.FLOAT },
      /** Frames of the trial. */
      frames: { type: ParameterType.INT },
      /** Frames that did not come. */
      dropped: { type: ParameterType.INT },
      /** Longest time between two frames, ms. */
      longest_gap_ms: { type: ParameterType.FLOAT },
      /** Of the screen, ms, as it was measured before. */
      period_ms: { type: ParameterType.FLOAT },
      /** Stamp of the frame that drew the stimulus, ms of the page's clock. */
      onset_ms: { type: ParameterType.FLOAT },
      /** What happened to the window meanwhile. */
      events: { type: ParameterType.STRING, array: true },
    },
  };

  /** @param {JsPsych} jsPsych */
  constructor(jsPsych) {
    this.jsPsych = jsPsych;
  }

  /** @param {HTMLElement} _display @param {Parameters} trial */
  trial(_display, trial) {
    const phases = new Phases(trial);
    const [stage, image, watcher] = [trial.stage(), trial.image(), trial.watch()];
    /** @type {(call: (stamp: number) => void) => void} */
    const next = trial.frames ?? requestAnimationFrame;
    const answer = { response: /** @type {string | null} */ (null), rt_ms: /** @type {number | null} */ (null) };
    const beside = { early_keys: 0, late_key_ms: /** @type {number | null} */ (null) };
    watcher.beginTrial((key) => {
      if (!trial.keys.includes(key.code)) return;
      const is = phases.takes(key.stamp);
      if (is === "early") beside.early_keys += 1;
      else if (answer.response === null) {
        const rt_ms = key.stamp - /** @type {number} */ (phases.began.stimulus);
        if (is === "late") beside.late_key_ms ??= rt_ms;
        else {
          Object.assign(answer, { response: key.code, rt_ms });
          phases.answer();
        }
      }
    });
    /** @param {number} stamp */
    const onFrame = (stamp) => {
      const { phase, isNew } = phases.frame(stamp);
      if (isNew) stage.draw(phase, image);
      if (phase !== "done") return next(onFrame);
      const events = watcher.endTrial();
      this.jsPsych.finishTrial(row(phases, answer, beside, events));
    };
    next(onFrame);
  }

  /** jsPsych's simulation: in sight, with a key pressed in time; or data alone, from made-up frames.
   * @param {Parameters} trial @param {"visual" | "data-only"} mode
   * @param {{ data?: Simulated }} options @param {() => void} load */
  simulate(trial, mode, options, load) {
    const drawn = { response: trial.keys[Math.random() < 0.5 ? 0 : 1], rt_ms: 300 + 200 * Math.random() };
    const planned = { ...drawn, ...options.data };
    load();
    if (mode === "visual") {
      this.trial(document.body, { ...trial, stage: () => pressing(trial.stage(), planned) });
      return;
    }
    const phases = new Phases({ ...trial, period_ms: 1000 / 60 });
    for (let stamp = 0; phases.frame(stamp).phase !== "done"; stamp += 1000 / 60);
    const answer = { response: planned.response ?? null, rt_ms: planned.response ? (planned.rt_ms ?? null) : null };
    this.jsPsych.finishTrial(row(phases, answer, { early_keys: 0, late_key_ms: null }, ["simulated"]));
  }
}

/** @param {Phases} phases @param {{ response: string | null, rt_ms: number | null }} answer
 * @param {{ early_keys: number, late_key_ms: number | null }} beside keys that are no answers; a late
 *   one mostly comes while the message stands, and is added there
 * @param {string[]} events */
function row(phases, answer, beside, events) {
  return {
    ...answer,
    ...beside,
    ...phases.measured(),
    period_ms: phases.plan.period_ms,
    events,
  };
}

/** A stage whose stimulus is answered by a made-up key.
 * @param {import("./stage.js").Stage} stage @param {Simulated} planned
 * @returns {import("./stage.js").Stage} */
function pressing(stage, planned) {
  const press = () => dispatchEvent(new KeyboardEvent("keydown", { code: planned.response ?? "" }));
  const release = () => dispatchEvent(new KeyboardEvent("keyup", { code: planned.response ?? "" }));
  return {
    ...stage,
    draw(phase, image) {
      stage.draw(phase, image);
      if (phase !== "stimulus" || !planned.response) return;
      setTimeout(() => { press(); release(); }, planned.rt_ms ?? 0);
    },
  };
}
