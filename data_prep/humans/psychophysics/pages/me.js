import { showMyData } from "../../studies/pages/my_data.js";
import { beginSession } from "../../studies/pages/session.js";

await showMyData(await beginSession(), (mine) => `${mine.trials.length} answers.`, () => {
  indexedDB.deleteDatabase("psychophysics"); // what was still to be sent
  localStorage.removeItem("psychophysics");
});
