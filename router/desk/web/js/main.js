// Begin: one desk, drawn into the page.

import { App } from "./app.js";
import { Desk } from "./desk.js";
import { html, render } from "./html.js";

const socket = document.querySelector('meta[name="switchboard-socket"]').content;
export const desk = new Desk(socket);
const place = document.getElementById("desk");
place.replaceChildren();
render(html`<${App} desk=${desk} />`, place);
