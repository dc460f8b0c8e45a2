// The phases of a trial on lists of stamps: `node --test tests/browser/phases.test.mjs`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Phases } from "../../data_prep/humans/psychophysics/pages/phases.js";

const PLAN = { fixation_ms: 1300, stimulus_ms: 400, blank_ms: 150, key_ends_trial: false };

/** Feeds stamps until the trial is done. */
function play(period_ms, gap = () => period_ms, plan = {}, at = () => {}) {
  const phases = new Phases({ ...PLAN, period_ms, ...plan });
  for (let stamp = 1000, n = 0; phases.frame(stamp).phase !== "done"; stamp += gap(n), n += 1) at(phases, stamp);
  return phases;
}

for (const rate of [50, 60, 75, 120, 144, 240]) {
  test(`durations end on the nearest frame at ${rate} Hz`, () => {
    const period = 1000 / rate;
    const measured = play(period).measured();
    for (const name of ["fixation_ms", "stimulus_ms", "blank_ms"]) {
      assert.ok(Math.abs(measured[name] - PLAN[name]) <= period / 2 + 1e-9, `${name} ${measured[name]}`);
    }
    assert.equal(measured.dropped, 0);
  });
}

test("stamps that jitter by half a millisecond change nothing", () => {
  const measured = play(1000 / 60, (n) => 1000 / 60 + (n % 2 ? 0.5 : -0.5)).measured();
  assert.ok(Math.abs(measured.stimulus_ms - 400) < 1);
  assert.equal(measured.dropped, 0);
});

test("missing frames are counted, and lengthen what they fall into", () => {
  const period = 1000 / 60;
  const measured = play(period, (n) => (n === 95 ? 120 : period)).measured();
  assert.equal(measured.dropped, 6);
  assert.equal(measured.longest_gap_ms, 120);
  const over = play(period, (n) => (n === 95 ? 500 : period)).measured();
  assert.ok(over.stimulus_ms > 400 + 2 * period);
});

test("an answer leaves the stimulus, unless it is to end the trial", () => {
  const period = 1000 / 60;
  const press = (phases, stamp) => { if (phases.takes(stamp) === "answer" && stamp - phases.began.stimulus > 200) phases.answer(); };
  assert.ok(Math.abs(play(period, undefined, {}, press).measured().stimulus_ms - 400) < 1);
  const cut = play(period, undefined, { key_ends_trial: true }, press).measured();
  assert.ok(cut.stimulus_ms < 250 && cut.blank_ms === 0);
});

test("keys before the stimulus and after the end are no answers", () => {
  const phases = new Phases({ ...PLAN, period_ms: 10 });
  phases.frame(0);
  assert.equal(phases.takes(5), "early");
  for (let stamp = 10; phases.phase !== "stimulus"; stamp += 10) phases.frame(stamp);
  assert.equal(phases.takes(phases.began.stimulus - 1), "early");
  assert.equal(phases.takes(phases.began.stimulus + 1), "answer");
  for (let stamp = phases.last + 10; phases.phase !== "done"; stamp += 10) phases.frame(stamp);
  assert.equal(phases.takes(phases.last), "late");
  assert.throws(() => new Phases({ ...PLAN, period_ms: 10 }).measured());
});

test("a key after 550 ms is late, though the blank lasts on for want of frames", () => {
  const phases = new Phases({ ...PLAN, period_ms: 10 });
  for (let stamp = 0; phases.phase !== "blank"; stamp += 10) phases.frame(stamp);
  const onset = phases.began.stimulus; // the next frame does not come for half a second
  assert.equal(phases.takes(onset + 549), "answer");
  assert.equal(phases.takes(onset + 700), "late");
});
