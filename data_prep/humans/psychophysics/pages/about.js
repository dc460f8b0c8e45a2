import { element } from "../../studies/pages/element.js";
import { request } from "../../studies/pages/request.js";

const about = await (await request("GET", "/api/about")).json();
element("banner", HTMLElement).textContent = about.stand_in;
element("banner", HTMLElement).hidden = !about.stand_in;
element("stimulus", HTMLElement).textContent = about.stimulus_ms;
const kept = about.retention_date ? `Data are kept until ${about.retention_date}. ` : "";
const gone = about.withdrawn_maps === "delete" ? "are deleted" : "stay, without any link to you";
element("kept", HTMLElement).textContent = `${kept}When you withdraw, your answers ${gone}.`;
element("contact", HTMLElement).textContent = about.contact ? `Questions: ${about.contact}` : "";
