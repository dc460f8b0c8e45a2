import { element } from "../../studies/pages/element.js";
import { frameGaps, quantile } from "./gates.js";
import { RapidTrial } from "./rapid_trial.js";
import { show, until } from "./screens.js";
import { openStage } from "./stage.js";
import { initJsPsych } from "./vendor/jspsych.js";
import { Watcher } from "./watching.js";

const count = Number(new URLSearchParams(location.search).get("trials") ?? 200);
const PLAN = { stimulus_ms: 400, blank_ms: 150 };

await until("loading", "flash");
const period_ms = quantile(await frameGaps(60), 0.5);
show("run");
const stage = openStage({ photodiode: true });
const watcher = new Watcher(() => {});
const image = await createImageBitmap(new ImageData(256, 256));
const jsPsych = initJsPsych({ display_element: element("jspsych", HTMLElement) });
/** @type {number[]} */
const byTimer = [];
await jsPsych.run(Array.from({ length: count }, () => ({
  type: RapidTrial, image: () => image, stage: () => stage, watch: () => watcher,
  fixation_ms: 300 + Math.round(250 * Math.random()), period_ms, ...PLAN,
  on_finish: async () => byTimer.push(await timed(PLAN.stimulus_ms)),
})));

/** A stimulus that a timer ends, as seen by frames' stamps: how long it was on the screen.
 * @param {number} ms @returns {Promise<number>} */
async function timed(ms) {
  stage.draw("stimulus", image);
  const shown = new Promise((resolve) => requestAnimationFrame(resolve));
  await new Promise((resolve) => setTimeout(resolve, ms));
  stage.draw("blank", image);
  const gone = await new Promise((resolve) => requestAnimationFrame(resolve));
  return gone - (await shown);
}

show("done");
const trials = jsPsych.data.get().values().map(({ trial_type, plugin_version, ...row }) => row);
element("result", HTMLElement).textContent = JSON.stringify({ period_ms, plan: PLAN, by_timer_ms: byTimer, trials });
