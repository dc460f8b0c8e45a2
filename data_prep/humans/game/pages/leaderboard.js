import { element } from "../../studies/pages/element.js";
import { askLeaderboard } from "./api.js";
import { beginPage } from "./frame.js";

await beginPage(true);
let allTime = false;

/** @param {string} text @param {string} [name] */
function cell(text, name = "") {
  const made = document.createElement("td");
  made.textContent = text;
  made.className = name;
  return made;
}

/** @param {any} row */
function line(row) {
  const made = document.createElement("tr");
  made.className = row.own ? "own" : "";
  const who = row.own ? `${row.display_name} (you)` : row.display_name;
  made.append(
    cell(String(row.rank)), cell(who), cell(String(row.recognised), "number roomy"),
    cell(String(Math.round(row.points)), "number"),
  );
  return made;
}

async function show() {
  const board = await askLeaderboard(allTime);
  const rows = element("rows", HTMLElement);
  rows.replaceChildren(...board.best.map(line));
  if (board.own && !board.best.some((/** @type {any} */ row) => row.own)) rows.append(line(board.own));
  element("empty", HTMLElement).hidden = board.best.length > 0;
  const date = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const contest = board.contest;
  element("title", HTMLElement).textContent = contest ? contest.name : "Leaderboard";
  const until = contest && `Until ${date.format(new Date(contest.ends_at))}. ${contest.prizes}`;
  element("reach", HTMLElement).hidden = !contest?.prizes;
  element("span", HTMLElement).textContent = until || `Of all time, ${board.players} ${board.players === 1 ? "player" : "players"}.`;
  const which = element("which", HTMLButtonElement);
  which.hidden = !contest && !allTime;
  which.textContent = allTime ? "Of this contest" : "Of all time";
}

element("which", HTMLButtonElement).addEventListener("click", () => {
  allTime = !allTime;
  void show();
});
await show();
