/** @typedef {object} Frames where stamps come from
 * @property {(call: (stamp: number) => void) => void} request */

/** The browser's own frames. @type {Frames} */
export const SCREEN = { request: (call) => void requestAnimationFrame(call) };

/** Frames at given times, for tests. @param {number[]} times @returns {Frames} */
export function framesAt(times) {
  const left = [...times];
  return {
    request: (call) => {
      const stamp = left.shift();
      if (stamp !== undefined) call(stamp);
    },
  };
}

/** Calls `frame` with each frame's stamp until it returns false. The only loop of the page.
 * @param {Frames} frames @param {(stamp: number) => boolean} frame */
export function run(frames, frame) {
  frames.request((stamp) => {
    if (frame(stamp)) run(frames, frame);
  });
}
