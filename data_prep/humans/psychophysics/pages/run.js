import { element } from "../../studies/pages/element.js";
import { Problem, request } from "../../studies/pages/request.js";
import { loadImages } from "./images.js";
import { remember } from "./memory.js";
import { RapidTrial } from "./rapid_trial.js";
import { show, until } from "./screens.js";
import { initJsPsych } from "./vendor/jspsych.js";
import { tell, tellBlock } from "./telling.js";
import { wait } from "./before.js";
import { KEYS } from "./watching.js";

/** @typedef {import("./wire.js").Item} Item
 *
 * @typedef {object} Visit
 * @property {import("./wire.js").ListGiven} given
 * @property {number} period_ms
 * @property {import("./stage.js").Stage} stage
 * @property {import("./watching.js").Watcher} watcher
 * @property {import("./outgoing.js").Outgoing} outgoing
 * @property {import("./memory.js").Memory} memory
 * @property {Map<number, import("./wire.js").Feedback>} feedback of blocks, as the server tells it
 * @property {"visual" | "data-only" | null} simulate */

const SEND_MS = 500; // between two trials, at most

/** Runs items one after the other on jsPsych's timeline.
 * @param {Visit} visit @param {Item[]} items @param {() => void} begin once all pictures are there
 * @param {(item: Item, row: Record<string, any>) => Promise<boolean>} after each; false ends */
async function run(visit, items, begin, after) {
  wait("Fetching pictures \u2026");
  const progress = element("progress", HTMLElement);
  const images = await loadImages(items, (done) => { progress.textContent = `Fetching pictures: ${done} of ${items.length}`; });
  show("run");
  begin();
  const jsPsych = initJsPsych({ display_element: element("jspsych", HTMLElement) });
  const { rules } = visit.given;
  let goesOn = true;
  const timeline = items.map((item) => ({
    timeline: [{
      type: RapidTrial,
      image: () => images.get(item.sha256),
      stage: () => visit.stage,
      watch: () => visit.watcher,
      fixation_ms: item.fixation_ms,
      stimulus_ms: rules.stimulus_ms,
      blank_ms: rules.blank_ms,
      keys: KEYS,
      key_ends_trial: rules.key_ends_trial,
      period_ms: visit.period_ms,
      on_finish: async (/** @type {Record<string, any>} */ row) => { goesOn = await after(item, row); },
    }],
    conditional_function: () => goesOn,
  }));
  await (visit.simulate ? jsPsych.simulate(timeline, visit.simulate) : jsPsych.run(timeline));
  element("jspsych", HTMLElement).replaceChildren();
  for (const image of images.values()) image.close();
}

/** Practice until the server says that it is enough.
 * @param {Visit} visit */
export async function train(visit) {
  const { given } = visit;
  const items = given.training.slice(given.training_at);
  await run(visit, items, () => {}, async (item, row) => {
    const body = { list: given.list, index: item.index, response: row.response, rt_ms: row.rt_ms };
    const { correct, done } = await judged(body);
    await tell(visit, row, correct === null ? "" : correct ? "Right." : "Wrong.");
    return !done;
  });
}

/** @param {object} body @returns {Promise<import("./wire.js").TrainingJudged>} */
async function judged(body) {
  for (let pause = 250; ; pause = Math.min(2 * pause, 4000)) {
    try {
      return await (await request("POST", "/api/training", body)).json();
    } catch (error) {
      if (!(error instanceof Problem) || (error.status !== 0 && error.status < 500)) throw error;
      element("message", HTMLElement).textContent = "The line is down; the training goes on when it is back.";
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** All blocks from where the list stands.
 * @param {Visit} visit */
export async function runBlocks(visit) {
  const { given } = visit;
  const size = given.rules.block;
  const blocks = given.trials.length / size;
  for (let block = Math.floor(given.resume_at / size); block < blocks; block += 1) {
    element("block-title", HTMLElement).textContent = `Block ${block + 1} of ${blocks}`;
    await until("block", "start");
    const first = Math.max(block * size, given.resume_at);
    const items = given.trials.slice(first, (block + 1) * size);
    /** @type {number[]} */
    const times = [];
    await run(visit, items, () => begins(visit, first), (item, row) => {
      if (row.response) times.push(row.rt_ms);
      return keep(visit, item, row);
    });
    await tellBlock(visit, block, times);
  }
}

/** @param {Visit} visit @param {Item} item @param {Record<string, any>} row */
async function keep(visit, item, row) {
  await tell(visit, row, "");
  const { trial_type, trial_index, plugin_version, time_elapsed, save_trial_parameters, ...columns } = row;
  const trial = { ...columns, index: item.index, sha256: item.sha256, time_elapsed_ms: performance.now() };
  const body = { list: visit.given.list, trials: [trial] };
  await visit.outgoing.put({ key: visit.given.list, kind: "trial", address: "/api/trials", body });
  const next = item.index + 1;
  begins(visit, next % visit.given.rules.block ? next : -1); // a block's first one waits for a button
  await visit.outgoing.sendFor(SEND_MS);
  visit.outgoing.close();
  return true;
}

/** Notes which trial begins next: a reload in it must not show its picture again. -1: none.
 * @param {Visit} visit @param {number} index */
export function begins(visit, index) {
  visit.memory.begun = index;
  remember(visit.memory);
}
