import { element } from "../../studies/pages/element.js";
import { Problem, request } from "../../studies/pages/request.js";
import { beginSession } from "../../studies/pages/session.js";
import { askConsent, calibrate, instruct, letters, offerFullscreen, onlyTab, sideOf, tellKeys, wait } from "./before.js";
import { measure, whyNot } from "./gates.js";
import { recall } from "./memory.js";
import { openOutgoing } from "./outgoing.js";
import { begins, runBlocks, train } from "./run.js";
import { openStage } from "./stage.js";
import { show, stop, until, untilSent, write } from "./screens.js";
import { Watcher } from "./watching.js";

/** @param {string} address @param {object} body @returns {Promise<any>} */
const post = async (address, body) => (await request("POST", `/api/${address}`, body)).json();

async function main() {
  const session = await beginSession();
  const about = await (await request("GET", "/api/about")).json();
  write("target-name", about.target_name);
  write("distractor-name", about.distractor_name);
  element("blocks", HTMLElement).textContent = about.blocks;
  const values = await measure();
  await checkGate(whyNot(values));
  await onlyTab();
  const memory = recall();
  await askConsent(session);
  const names = await letters();
  values.layout = `${names.KeyS}${names.KeyL}`;
  await passGate({ ...values });
  if (about.degrees) values.px_per_mm = await calibrate();
  if (!memory.list) values.comprehension = await instruct();
  if (about.degrees || !memory.list) await passGate(values);
  const given = await post("list", { device: memory.device });
  const asked = new URLSearchParams(location.search).get("simulate");
  const visit = await open(given, values, memory, given.simulation ? asked : null);
  await accountForReload(visit);
  tellKeys(given, names);
  offerFullscreen();
  if (!given.trained) {
    await until("keys", "train");
    await train(visit);
  }
  await runBlocks(visit);
  await finish(visit);
}

/** @param {import("./wire.js").GateValues} values */
async function passGate(values) {
  const { reason } = await post("gates", values);
  await checkGate(reason, values.comprehension !== false);
}

/** @param {string} reason of a refusal; "" lets pass @param {boolean} [canRetry] */
async function checkGate(reason, canRetry = true) {
  const why = canRetry ? "cannot run here" : "cannot go on";
  if (reason) await stop(`The experiment ${why}: ${reason}.`, canRetry, "Thank you for your interest");
}

/** @param {import("./wire.js").ListGiven} given @param {import("./wire.js").GateValues} values
 * @param {import("./memory.js").Memory} memory @param {string | null} simulate
 * @returns {Promise<import("./run.js").Visit>} */
async function open(given, values, memory, simulate) {
  /** @type {import("./run.js").Visit["feedback"]} */
  const feedback = new Map();
  const outgoing = await openOutgoing({
    stored: (_entry, answer) => { if (answer.feedback) feedback.set(answer.feedback.block, answer.feedback); },
    refused: (_entry, problem) => void stop(`${problem.message} ${problem.remedy}`, true),
    waiting: () => {},
  });
  const watcher = new Watcher(({ kind, at_ms }) => {
    if (memory.events >= 10_000) return;
    const body = { list: given.list, events: [{ number: memory.events, kind, at_ms }] };
    memory.events += 1;
    void outgoing.put({ key: given.list, kind: "event", address: "/api/events", body });
  });
  const cssSide = values.px_per_mm ? sideOf(given.rules.degrees, values.px_per_mm) : undefined;
  const stage = openStage({ cssSide, photodiode: given.rules.photodiode });
  const mode = simulate === "visual" || simulate === "data-only" ? simulate : null;
  return { given, period_ms: values.period_ms, stage, watcher, outgoing, memory, feedback, simulate: mode };
}

/** A trial that was begun and is not stored was cut off; its picture has been seen.
 * @param {import("./run.js").Visit} visit */
async function accountForReload(visit) {
  const { given, memory, outgoing, watcher } = visit;
  wait("Storing what you did before \u2026");
  while (!(await outgoing.isEmpty())) await new Promise((resolve) => setTimeout(resolve, 50));
  if (memory.list === given.list) {
    watcher.happened("reload", performance.now());
    const { next } = await post("list", { device: memory.device }).then((again) => ({ next: again.resume_at }));
    given.resume_at = next;
    if (memory.begun === next) {
      const { next: after } = await post("trials", { list: given.list, trials: [{ index: next, lost: true }] });
      given.resume_at = after;
    }
  }
  memory.list = given.list;
  begins(visit, -1);
}

/** @param {import("./run.js").Visit} visit */
async function finish(visit) {
  const { list } = visit.given;
  await untilSent("questions", "questions");
  const answers = {
    handedness: element("handedness", HTMLSelectElement).value,
    age_range: element("age", HTMLSelectElement).value,
    odd: element("odd", HTMLTextAreaElement).value,
  };
  wait("Storing your answers \u2026");
  while (!(await visit.outgoing.isEmpty())) await new Promise((resolve) => setTimeout(resolve, 50));
  const { complete, link, lost } = await post("finish", { list, ...answers });
  thank(complete
    ? "All your answers are stored."
    : `Your answers are stored, but ${lost} pictures were cut off, which is too many to count.`, link);
}

/** The last screen.
 * @param {string} text @param {string} link of the recruitment service; "" if there is none */
function thank(text, link) {
  show("done");
  element("done", HTMLElement).textContent = link ? text : `${text} You may close this page.`;
  const back = element("link", HTMLAnchorElement);
  back.hidden = !link;
  back.href = link;
}

main().catch((error) => {
  if (!(error instanceof Problem)) console.error(error);
  else if (error.facts.link !== undefined) return thank("You have taken part, and all your answers are stored.", String(error.facts.link));
  const retry = !(error instanceof Problem) || error.status === 0 || error.status >= 500;
  void stop(error instanceof Problem ? `${error.message} ${error.remedy} ${error.facts.reason ?? ""}` : "Something went wrong on this page. Your answers are stored.", retry);
});
