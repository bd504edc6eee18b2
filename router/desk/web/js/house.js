// For operators: whether every part is well, what could not be read, what could not be delivered.

import { bytes, moment } from "./format.js";
import { html, useEffect } from "./html.js";
import { Icon } from "./icons.js";
import { Button } from "./parts.js";
import { Rules } from "./rules.js";
import { now } from "./time.js";
import { spoken, t } from "./words.js";

export function House({ desk, state }) {
  const { watch } = state;
  useEffect(() => {
    desk.watch.show("house");
  }, [desk]);
  return html`<main id="main" class="board" tabindex="-1"><h1 class="unseen">${t("house")}</h1>
    ${watch.failing && html`<div class="banner bad" role="status">${t("watch.failing")} ${watch.failing}</div>`}
    ${!watch.parts && !watch.failing && html`<p class="none">${t("loading")}</p>`}
    ${watch.parts && html`<${Parts} parts=${watch.parts} /><${Aside} desk=${desk} entries=${watch.quarantine} /><${Dead} desk=${desk} letters=${watch.dead} /><${Rules} desk=${desk} />`}
  </main>`;
}

function Parts({ parts }) {
  const well = parts.status === "ready";
  return html`<section class="panel" aria-labelledby="parts-title">
    <div class="panel-head"><h2 id="parts-title">${t("house.parts")}</h2><span class=${`flag ${well ? "good" : "bad"}`}>${t(well ? "house.well" : "house.unwell")}</span></div>
    <ul class="parts">${Object.entries(parts.parts).map(([name, part]) => html`<li key=${name} class=${part.ok ? "" : "bad"}>
      <${Icon} name=${part.ok ? "check" : "close"} /><span class="row-text"><strong>${name}</strong><span class="unseen">${t(part.ok ? "house.ok" : "house.bad")}</span>
      <span class="quiet">${part.detail}</span></span></li>`)}</ul>
  </section>`;
}

function Aside({ desk, entries }) {
  const raw = async (entry) => desk.save(`/v1/quarantine/${encodeURIComponent(entry.id)}/raw`, entry.name || entry.id);
  const act = (entry, what) => desk.watch.act(`/v1/quarantine/${encodeURIComponent(entry.id)}/${what}`);
  return html`<section class="panel" aria-labelledby="aside-title"><h2 id="aside-title">${t("house.quarantine")} <span class="count">${entries.length || ""}</span></h2>
    ${!entries.length && html`<p class="none">${t("house.quarantine.none")}</p>`}
    <ul class="entries">${entries.map((entry) => html`<li key=${entry.id}><span class="row-text"><strong>${entry.name || entry.id}</strong>
        <span class="quiet">${entry.source} · ${bytes(entry.size)} · ${moment(entry.at_ms, spoken(), now())}</span><span>${entry.reason}</span></span>
      <span class="entry-acts"><${Button} icon="file" onClick=${() => raw(entry)}>${t("house.raw")}<//>
        ${entry.can_retry && html`<${Button} icon="again" onClick=${() => act(entry, "retry")}>${t("house.retry")}<//>`}
        <${Button} icon="close" onClick=${() => act(entry, "discard")}>${t("house.discard")}<//></span></li>`)}</ul>
  </section>`;
}

function Dead({ desk, letters }) {
  const act = (letter, what) => desk.watch.act(`/v1/outbound/${letter.outbound}/${what}`);
  return html`<section class="panel" aria-labelledby="dead-title"><h2 id="dead-title">${t("house.dead")} <span class="count">${letters.length || ""}</span></h2>
    ${!letters.length && html`<p class="none">${t("house.dead.none")}</p>`}
    <ul class="entries">${letters.map((letter) => html`<li key=${letter.outbound}><span class="row-text"><strong>${letter.action} · ${letter.channel}</strong>
        <span class="quiet">${letter.interaction} · ${letter.recipient} · ${moment(letter.at_ms, spoken(), now())}</span><span>${letter.error}</span></span>
      <span class="entry-acts"><${Button} icon="again" onClick=${() => act(letter, "retry")}>${t("house.retry")}<//>
        <${Button} icon="close" onClick=${() => act(letter, "discard")}>${t("house.discard")}<//></span></li>`)}</ul>
  </section>`;
}
