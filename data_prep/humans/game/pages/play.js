import { element } from "../../studies/pages/element.js";
import { askLeaderboard } from "./api.js";
import { beginPage, tabName } from "./frame.js";
import { listen } from "./input.js";
import { SCREEN } from "./loop.js";
import { beginRound, endRound, hidden, nextRound, refused, stored } from "./round.js";
import { openGameOutbox } from "./sending.js";
import { newState } from "./state.js";

await beginPage(true);
const canvas = element("canvas", HTMLCanvasElement);
const pen = canvas.getContext("2d");
if (!pen) throw new Error("This browser cannot draw.");
const outbox = await openGameOutbox({
  stored: (entry, answer) => stored(game, entry, answer),
  refused: (entry, problem) => refused(game, entry, problem),
  waiting: (waiting) => (element("line", HTMLElement).hidden = !waiting),
});
/** @type {import("./round.js").Game} */
const game = {
  state: newState(), pen, frames: SCREEN, outbox, tab: tabName(), coming: null, waitingTimer: 0,
};
const why = element("why", HTMLDialogElement);
const askWhy = () => game.state.phase === "ready" || game.state.phase === "playing" ? why.showModal() : undefined;

listen(canvas, game.state, {
  begin: (at, stamp, input) => beginRound(game, at, stamp, input),
  cancel: () => hidden(game),
  next: () => void nextRound(game),
  skip: askWhy,
});
element("skip", HTMLButtonElement).addEventListener("click", askWhy);
element("next", HTMLButtonElement).addEventListener("click", () => void nextRound(game));
element("retry", HTMLButtonElement).addEventListener("click", () => void nextRound(game, game.state.round === "taken"));
why.addEventListener("close", () => {
  const reason = new FormData(element("why-form", HTMLFormElement)).get("reason");
  if (why.returnValue === "skip") void endRound(game, "skip", String(reason));
  why.returnValue = "";
});
document.addEventListener("visibilitychange", () => document.hidden && hidden(game));
addEventListener("pagehide", () => hidden(game));
// What a page before this one left, a reloaded one say, goes first: then it is not late.
await Promise.race([outbox.send(), new Promise((resolve) => setTimeout(resolve, 1500))]);
await nextRound(game);
const { own } = await askLeaderboard(true);
if (own && game.state.phase === "ready") element("total", HTMLElement).textContent = String(Math.round(own.points));
