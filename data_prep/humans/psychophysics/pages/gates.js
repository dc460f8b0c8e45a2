/** @typedef {import("./wire.js").GateValues} GateValues */

const [FRAMES, TRIES] = [60, 3];
const MOST_P95 = 1.5; // of the period

/** What the browser is, as far as the experiment depends on it. Stays here until consent is given.
 * @returns {Promise<GateValues>} */
export async function measure() {
  const { period_ms, period_p95_ms } = await pace();
  return {
    desktop: !/Mobi|Android|iPad/.test(navigator.userAgent) && matchMedia("(any-pointer: fine), (any-pointer: none)").matches,
    width: innerWidth,
    height: innerHeight,
    period_ms,
    period_p95_ms,
    canvas: typeof createImageBitmap === "function" && document.createElement("canvas").getContext("2d") !== null,
    storage: (await canStore()) && "locks" in navigator && typeof crypto.subtle === "object",
    device_pixel_ratio: devicePixelRatio,
    comprehension: null,
    px_per_mm: null,
    layout: "",
    browser: family(),
    system: ["Windows", "Mac", "Android", "Linux"].find((name) => navigator.userAgent.includes(name)) ?? "other",
  };
}

/** Why the experiment cannot run here, in words for its person; "" if it can. The server decides, by
 * the same rules (`why_not`); here they spare people a consent that leads nowhere.
 * @param {GateValues} values @returns {string} */
export function whyNot({ desktop, width, height, period_ms, period_p95_ms, canvas, storage }) {
  if (!desktop) return "it needs a computer with a keyboard";
  if (width < 640 || height < 560) return "its window is smaller than 640 x 560 pixels; make it larger";
  if (period_ms > (1000 / 50) * 1.02) return "its screen is redrawn fewer than 50 times a second";
  if (period_p95_ms > MOST_P95 * period_ms) return "its screen is redrawn too irregularly; closing other programs may help";
  if (!canvas || !storage) return "its browser does not allow drawing or storage, as in some private windows";
  return "";
}

/** How regularly the screen is redrawn: a page that has just been loaded may falter once, and is
 * measured again then. A reload in mid-session would else be refused for it. */
async function pace() {
  for (let tries = 1; ; tries += 1) {
    const gaps = await frameGaps(FRAMES);
    const found = { period_ms: quantile(gaps, 0.5), period_p95_ms: quantile(gaps, 0.95) };
    if (found.period_p95_ms <= MOST_P95 * found.period_ms || tries === TRIES) return found;
  }
}

/** @param {number} count @returns {Promise<number[]>} ms between frames */
export function frameGaps(count) {
  return new Promise((resolve) => {
    /** @type {number[]} */
    const stamps = [];
    /** @param {number} stamp */
    function frame(stamp) {
      stamps.push(stamp);
      if (stamps.length <= count) requestAnimationFrame(frame);
      else resolve(stamps.slice(1).map((later, index) => later - /** @type {number} */ (stamps[index])));
    }
    requestAnimationFrame(frame);
  });
}

/** @param {number[]} values @param {number} share */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.round(share * (sorted.length - 1)))] ?? 0;
}

function canStore() {
  return new Promise((resolve) => {
    try {
      const opening = indexedDB.open("gate", 1);
      opening.onsuccess = () => { opening.result.close(); resolve(true); };
      opening.onerror = () => resolve(false);
      localStorage.setItem("gate", "1");
    } catch {
      resolve(false); // some private windows throw at the mere word
    }
  });
}

/** Family and major version, no more: the whole text would tell people apart. */
function family() {
  const found = /(Firefox|Edg|Chrome|Version)\/(\d+)/.exec(navigator.userAgent.replace(/Chrome(?=.*Edg)/, ""));
  return found ? `${found[1]?.replace("Version", "Safari")} ${found[2]}` : "other";
}
