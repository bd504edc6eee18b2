// The screens and when each is shown; keys that work everywhere; remarks.

import { Audit } from "./audit.js";
import { Bar } from "./bar.js";
import { Dialogs } from "./dialogs.js";
import { Floor } from "./floor.js";
import { House } from "./house.js";
import { html, useEffect, useLayoutEffect, useState } from "./html.js";
import { Icon } from "./icons.js";
import { Announcements } from "./lead.js";
import { Button, IconButton } from "./parts.js";
import { Rail } from "./rail.js";
import { Side } from "./side.js";
import { useNow } from "./time.js";
import { SignIn } from "./signin.js";
import { Talk } from "./talk.js";
import { t } from "./words.js";

export function App({ desk }) {
  const [state, setState] = useState(desk.state);
  useLayoutEffect(() => desk.store.follow(setState), [desk]); // at once: what comes before a busy browser has drawn is shown
  useEffect(() => {
    const pressed = (event) => keys(desk, event);
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [desk]);
  if (state.phase === "out" || state.phase === "signing") return html`<${SignIn} desk=${desk} state=${state} />`;
  return html`<${Work} desk=${desk} state=${state} />`;
}

function Work({ desk, state }) {
  const one = state.view.interactions[state.selected];
  if (state.page !== "work") return html`<${Overview} desk=${desk} state=${state} />`;
  return html`<div class=${`desk pane-${one ? state.pane : "list"}`}>
    <a class="skip" href="#main">${t("skip")}</a>
    <${Bar} desk=${desk} state=${state} />
    <${Line} desk=${desk} state=${state} />
    <div class=${`floor ${state.phase === "stale" ? "stale" : ""}`}>
      <${Rail} desk=${desk} state=${state} />
      <main id="main" tabindex="-1">${one ? html`<${Talk} key=${one.id} desk=${desk} state=${state} one=${one} />` : html`<${Idle} desk=${desk} state=${state} />`}</main>
      ${one && html`<${Side} key=${`side ${one.id}`} desk=${desk} state=${state} one=${one} />`}
    </div>
    <${Dialogs} desk=${desk} state=${state} />
  </div>`;
}

function Overview({ desk, state }) {
  return html`<div class="desk">
    <a class="skip" href="#main">${t("skip")}</a>
    <${Bar} desk=${desk} state=${state} />
    <${Line} desk=${desk} state=${state} />
    ${state.page === "floor" && html`<${Floor} desk=${desk} state=${state} />`}
    ${state.page === "house" && html`<${House} desk=${desk} state=${state} />`}
    ${state.page === "audit" && html`<${Audit} desk=${desk} />`}
    <${Dialogs} desk=${desk} state=${state} />
  </div>`;
}

function Hindered({ desk, state }) {
  const left = Math.max(0, Math.ceil((state.hindered - useNow()) / 1000));
  return html`<div class="banner bad"><span class="grow"><strong>${t("hindered.title")}</strong> ${t("hindered.text", { n: left })}</span>
    <${Button} onClick=${() => desk.leave()}>${t("menu.signout")}<//></div>`;
}

function Line({ desk, state }) {
  return html`<div class="lines" role="status">
    ${state.hindered > 0 && state.phase !== "live" && html`<${Hindered} desk=${desk} state=${state} />`}
    ${state.phase === "stale" && !state.hindered &&
    html`<div class="banner bad"><span class="grow"><strong>${t("stale.title")}</strong> ${t("stale.text")}</span>
      <${Button} icon="again" onClick=${() => desk.link.again()}>${t("stale.again")}<//></div>`}
    <${Announcements} desk=${desk} state=${state} />
    ${state.twin && state.phase !== "stale" && html`<div class="banner plain">${t("twin")}</div>`}
    <${Told} desk=${desk} state=${state} />
  </div>`;
}

function Idle({ state }) {
  const { agent, interactions, offers } = state.view;
  if (!agent) return html`<div class="idle"><p class="quiet">${t("connecting")}</p></div>`;
  const word = Object.keys(offers).length ? "idle.offer" : agent.state === "ready" ? "idle.ready" : "idle.notready";
  return html`<div class="idle"><span class=${`idle-mark ${agent.state}`}><${Icon} name=${agent.state === "ready" ? "check" : "pause"} size=${28} /></span>
    <h1>${t(word)}</h1><p class="quiet">${word !== "idle.offer" && Object.keys(interactions).length ? t("idle.choose") : t(`${word}.text`)}</p></div>`;
}

function Told({ desk, state }) {
  return html`<div class="told" role="status" aria-live="polite">
    ${state.told.map((one) => html`<div key=${one.id} class=${`remark ${one.tone}`}><span class="grow">${one.text}</span>
      <${IconButton} icon="close" label=${t("dismiss")} onClick=${() => desk.dismiss(one.id)} /></div>`)}
  </div>`;
}

/** Keys that no browser uses for something else and that write nothing. */
function keys(desk, event) {
  const { state } = desk;
  if (state.phase !== "live" || !state.view.agent || state.dialog || event.ctrlKey || event.metaKey) return;
  const [offer] = Object.values(state.view.offers);
  const acts = {
    F2: () => desk.setState(state.view.agent.state === "ready" && !state.view.agent.pending ? "not_ready" : "ready"),
    F8: () => offer && desk.accept(offer).then(() => desk.turn("work")),
    F9: () => offer && desk.decline(offer),
    "Alt ArrowDown": () => desk.move(1),
    "Alt ArrowUp": () => desk.move(-1),
  };
  const act = acts[`${event.altKey ? "Alt " : ""}${event.key}`];
  if (!act) return;
  event.preventDefault();
  if (!event.repeat) act();
}
