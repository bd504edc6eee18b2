// The top: whether I take work, whether the line stands, how much I have.

import { html } from "./html.js";
import { Pages } from "./floor.js";
import { Icon } from "./icons.js";
import { Menu, Popover } from "./menu.js";
import { Button, Channel, Since } from "./parts.js";
import { load } from "./stream.js";
import { named, t } from "./words.js";

export function Bar({ desk, state }) {
  return html`<header class="bar">
    <div class="brand"><${Icon} name="move" size=${20} /><span class="brand-name">${t("app")}</span></div>
    ${state.me.agent && html`<${Presence} desk=${desk} state=${state} />`}
    ${state.me.supervisor && html`<${Pages} desk=${desk} state=${state} />`}
    <span class="grow"></span>
    <${Load} view=${state.view} />
    <${Menu} desk=${desk} state=${state} />
  </header>`;
}

function Presence({ desk, state }) {
  const { agent } = state.view;
  if (!agent) return html`<p class="presence quiet" role="status">${t("connecting")}</p>`;
  const ready = agent.state === "ready";
  const leaving = agent.pending === "not_ready";
  const busy = state.busy.state || state.phase !== "live";
  const reason = agent.reason && agent.reason !== "signed-out" ? named("reason", agent.reason) : "";
  return html`<div class="presence">
    <p class=${`state ${leaving ? "leaving" : agent.state}`} role="status">
      <span class="dot" aria-hidden="true"></span>
      <strong>${leaving ? t("state.pending") : t(`state.${agent.state}`)}</strong>
      ${!ready && reason && html`<span class="quiet state-reason">${reason}</span>`}
      ${state.stateSince > 0 && html`<span class="quiet" aria-hidden="true"><${Since} ms=${state.stateSince} exact=${true} /></span>`}
    </p>
    <div class="states">
      ${(!ready || leaving) &&
      html`<${Button} kind="good" keys="F2" aria-keyshortcuts="F2" busy=${busy} onClick=${() => desk.setState("ready")}>${t("ready")}<//>`}
      ${ready &&
      !leaving &&
      html`<${Button} keys="F2" aria-keyshortcuts="F2" busy=${busy} onClick=${() => desk.setState("not_ready")}>${t("notready")}<//>`}
      <${Reasons} desk=${desk} state=${state} busy=${busy} />
    </div>
  </div>`;
}

function Reasons({ desk, state, busy }) {
  const { reasons } = state.me;
  if (!reasons.length) return null;
  const label = `${t("notready")}: ${t("notready.why")}`;
  const button = (more) => html`<button type="button" class="button plain narrow" aria-label=${label} disabled=${busy} ...${more}>
    <${Icon} name="down" size=${14} /></button>`;
  return html`<${Popover} label=${label} button=${button}>${(close) => html`<div class="choices">
      <p class="label">${t("notready")}</p>
      ${reasons.map((reason) => html`<button type="button" class="choice" onClick=${() => {
        close();
        desk.setState("not_ready", reason);
      }}>${named("reason", reason)}</button>`)}
    </div>`}
  <//>`;
}

function Load({ view }) {
  const counts = Object.entries(load(view));
  if (!counts.length) return null;
  return html`<ul class="load" aria-label=${t("load")}>
    ${counts.map(([channel, n]) => html`<li><${Channel} channel=${channel} size=${16} /><span class="figures">${n}</span></li>`)}
  </ul>`;
}
