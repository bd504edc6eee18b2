// The wallboard: queues by how much of their promise is used, people by what they do, and whatever waits, with the reason.

import { span } from "./format.js";
import { html, kept, useEffect, useMemo, useState } from "./html.js";
import { who } from "./desk.js";
import { Broadcast, Overheard } from "./lead.js";
import { Person as Somebody } from "./names.js";
import { Button, Channel, IconButton, Since } from "./parts.js";
import { inWords } from "./requirement.js";
import { useSight } from "./sight.js";
import { useNow } from "./time.js";
import { may } from "./watch.js";
import { named, t } from "./words.js";

export function Floor({ desk, state }) {
  const { watch } = state;
  useEffect(() => {
    desk.watch.show("floor");
  }, [desk]);
  const failing = watch.failing && html`<div class="banner bad" role="status">${t("watch.failing")} ${watch.failing}</div>`;
  // Before the first answer there are no figures, and a nought would be one.
  if (!watch.at) return html`<main id="main" class="board" tabindex="-1">${failing || html`<p class="none">${t("loading")}</p>`}</main>`;
  return html`<main id="main" class=${`board ${watch.item ? "with-item" : ""}`} tabindex="-1">
    <h1 class="unseen">${t("floor")}</h1>
    ${failing}
    <${Tiles} watch=${watch} />
    <div class="board-columns">
      <div class="board-main">
        <${Queues} desk=${desk} watch=${watch} />
        <${Broadcast} desk=${desk} state=${state} />
        ${may(state, "contacts") && html`<${Items} desk=${desk} watch=${watch} />`}
      </div>
      ${watch.item ? html`<${Item} key=${watch.item} desk=${desk} state=${state} watch=${watch} />` : html`<${People} desk=${desk} watch=${watch} />`}
    </div>
  </main>`;
}

const byName = new Intl.Collator(undefined, { numeric: true }).compare;

/** Where each name stands among all of them. Names hardly ever change and comparing them is slow, numbers are not. */
function usePlaces(rows, key, name) {
  const names = rows.map((row) => `${row[key]}\n${row[name]}`).join("\n");
  return useMemo(() => {
    const sorted = [...rows].sort((a, b) => byName(a[name], b[name]));
    return new Map(sorted.map((row, place) => [row[key], place]));
  }, [names]);
}

function Tiles({ watch }) {
  const at = useNow();
  const waiting = watch.queues.reduce((sum, queue) => sum + queue.waiting, 0);
  const oldest = Math.min(...watch.queues.filter((queue) => queue.oldest_enqueued_at_ms).map((queue) => queue.oldest_enqueued_at_ms));
  const late = watch.queues.filter((queue) => queue.share_of_target > 1).length;
  const abandoned = watch.queues.reduce((sum, { day }) => sum + (day ? day.abandoned - day.short : 0), 0);
  const here = watch.agents.filter((agent) => agent.sessions);
  const ready = here.filter((agent) => agent.state === "ready");
  const free = ready.filter((agent) => !total(agent.load));
  const tiles = [
    ["tile.waiting", waiting, ""],
    ["tile.oldest", Number.isFinite(oldest) ? span(at - oldest) : "–", ""],
    ["tile.late", late, late ? "bad" : ""],
    ["tile.abandoned", watch.queues.some((queue) => queue.day) ? abandoned : "–", ""],
    ["tile.free", free.length, waiting && !free.length ? "warn" : ""],
    ["tile.busy", ready.length - free.length, ""],
    ["tile.notready", here.length - ready.length, ""],
  ];
  return html`<dl class="tiles">${tiles.map(([key, value, tone]) => html`<div class=${`tile ${tone}`} key=${key}><dt>${t(key)}</dt><dd class="figures">${value}</dd></div>`)}</dl>`;
}

function Share({ share }) {
  const tone = share > 1 ? "bad" : share > 0.75 ? "warn" : "good";
  return html`<span class=${`share ${tone}`}><span class="share-line" aria-hidden="true"><span style=${{ inlineSize: `${Math.min(100, share * 100)}%` }}></span></span>
    <span class="figures">${Math.round(share * 100)} %</span></span>`;
}

const QUEUE_ROW = 34; // px, as in desk.css

function Queues({ desk, watch }) {
  const places = usePlaces(watch.queues, "queue", "queue");
  const rows = useMemo(
    () => [...watch.queues].sort((a, b) => b.share_of_target - a.share_of_target || b.waiting - a.waiting || places.get(a.queue) - places.get(b.queue)),
    [watch.queues, places],
  );
  const { ref, whole, drawn, rest } = useSight(rows, "queue", QUEUE_ROW);
  return html`<section class="panel"><h2 id="queues-title">${t("queues")}</h2>
    <div class="scroll" tabindex="0" role="region" aria-labelledby="queues-title" ref=${ref}><table class="queues" role="table" aria-rowcount=${whole ? undefined : rows.length + 1}>
      <thead role="rowgroup"><tr role="row" aria-rowindex=${whole ? undefined : 1}><th role="columnheader" scope="col">${t("queue")}</th><th role="columnheader" scope="col" class="number">${t("tile.waiting")}</th><th role="columnheader" scope="col" class="number">${t("tile.oldest")}</th>
        <th role="columnheader" scope="col">${t("share")}</th><th role="columnheader" scope="col" class="number" title=${t("level.about")}>${t("level")}</th><th role="columnheader" scope="col" class="number" title=${t("abandoned.about")}>${t("abandoned")}</th><th role="columnheader" scope="col" class="number">${t("offered")}</th><th role="columnheader" scope="col" class="number">${t("active")}</th></tr></thead>
      <tbody role="rowgroup" style=${{ "--rest": `${rest}px` }}>${drawn.map(({ one, number, gap }) =>
        html`<${QueueRow} key=${one.queue} desk=${desk} queue=${one} chosen=${watch.queue === one.queue} number=${whole ? 0 : number + 2} gap=${gap} />`)}</tbody>
    </table></div>
  </section>`;
}

function percent(share) {
  return share === null ? "–" : `${Math.round(share * 100)} %`;
}

/** How many gave up today, and what part of those who meant it that is. */
function abandoned(day) {
  if (!day || day.abandon_rate === null) return "–";
  const given = day.abandoned - day.short;
  return given ? `${given} (${percent(day.abandon_rate)})` : "0";
}

const QueueRow = kept(function QueueRow({ desk, queue, chosen, number, gap }) {
  const nobody = (queue.servability["signed-out"] || 0) + (queue.servability.nobody || 0);
  return html`<tr role="row" class=${chosen ? "chosen" : ""} data-row=${queue.queue} aria-rowindex=${number || undefined} style=${{ marginBlockStart: `${gap}px` }}>
    <th role="rowheader" scope="row"><button type="button" class="link" title=${queue.queue} aria-pressed=${String(chosen)} onClick=${() => desk.watch.choose({ queue: chosen ? "" : queue.queue })}>${queue.queue}</button>
      ${!queue.open && html`<span class="flag warn">${t("closed")}</span>`}
      ${nobody > 0 && html`<span class="flag bad">${t("nobody.there", { n: nobody })}</span>`}</th>
    <td role="cell" class="number figures">${queue.waiting || ""}</td>
    <td role="cell" class="number">${queue.oldest_enqueued_at_ms ? html`<${Since} ms=${queue.oldest_enqueued_at_ms} />` : ""}</td>
    <td role="cell">${queue.waiting ? html`<${Share} share=${queue.share_of_target} />` : ""}</td>
    <td role="cell" class="number figures">${percent(queue.day ? queue.day.service_level : queue.service_level)}</td>
    <td role="cell" class="number figures">${abandoned(queue.day)}</td>
    <td role="cell" class="number figures">${queue.offered || ""}</td><td role="cell" class="number figures">${queue.active || ""}</td>
  </tr>`;
});

const STATES = ["queued", "offered", "active", "wrap-up"];

function Items({ desk, watch }) {
  return html`<section class="panel" aria-labelledby="items-title">
    <div class="panel-head"><h2 id="items-title">${watch.queue ? t("items.of", { queue: watch.queue }) : t("items")}</h2><span class="grow"></span>
      <label class="inline-field"><span class="unseen">${t("items.state")}</span>
        <select value=${watch.state} onChange=${(e) => desk.watch.choose({ state: e.target.value })}>
          ${STATES.map((name) => html`<option value=${name}>${t(`items.${name}`)}</option>`)}</select></label></div>
    ${watch.items.length ? html`<ul class="items">${watch.items.map((one) =>
      html`<${ItemRow} key=${one.id} desk=${desk} one=${one} chosen=${watch.item === one.id} />`)}</ul>` : html`<p class="none">${t("items.none")}</p>`}
    ${watch.more && html`<p class="none">${t("items.more", { n: watch.items.length })}</p>`}
  </section>`;
}

const ItemRow = kept(function ItemRow({ desk, one, chosen }) {
  return html`<li><button type="button" class="row" aria-current=${chosen ? "true" : undefined} onClick=${() => desk.watch.choose({ item: one.id })}>
    <${Channel} channel=${one.channel} />
    <span class="row-text"><span class="row-first"><span class="row-name" dir="auto">${who(one)}</span><span class="quiet"><${Since} ms=${one.enqueued_at_ms} /></span></span>
      <span class="row-second"><span class="row-line quiet">${one.id} · ${one.queue}${one.agent && html` · <${Somebody} id=${one.agent} />`}</span></span></span>
  </button></li>`;
});

function total(load) {
  return Object.values(load).reduce((sum, n) => sum + n, 0);
}

const RANK = { ready: 0, not_ready: 1, "signed-out": 2 };

export function presenceOf(agent) {
  return agent.sessions ? agent.state : "signed-out";
}

const PERSON_ROW = 52; // px, as in desk.css

function People({ desk, watch }) {
  const places = usePlaces(watch.agents, "agent", "name");
  const rows = useMemo(
    () => [...watch.agents].sort((a, b) => RANK[presenceOf(a)] - RANK[presenceOf(b)] || places.get(a.agent) - places.get(b.agent)),
    [watch.agents, places],
  );
  const { ref, whole, drawn, rest } = useSight(rows, "agent", PERSON_ROW);
  return html`<section class="panel people" aria-labelledby="people-title"><h2 id="people-title">${t("people")}</h2>
    <ul tabindex="0" aria-labelledby="people-title" ref=${ref} style=${{ "--rest": `${rest}px` }}>${drawn.map(({ one, number, gap }) =>
      html`<${Person} key=${one.agent} desk=${desk} agent=${one} number=${whole ? 0 : number + 1} of=${whole ? 0 : rows.length} gap=${gap} />`)}</ul>
  </section>`;
}

const Person = kept(function Person({ desk, agent, number, of, gap }) {
  const presence = presenceOf(agent);
  const reason = presence === "not_ready" && agent.reason && agent.reason !== "signed-out" ? named("reason", agent.reason) : "";
  const other = agent.state === "ready" && !agent.pending ? "not_ready" : "ready";
  return html`<li class="person" data-row=${agent.agent} aria-posinset=${number || undefined} aria-setsize=${of || undefined} style=${{ marginBlockStart: `${gap}px` }}>
    <span class=${`state ${agent.pending ? "leaving" : presence}`}><span class="dot" aria-hidden="true"></span></span>
    <span class="row-text"><span class="row-first"><span class="row-name" dir="auto">${agent.name}</span>
        ${agent.sessions > 0 && agent.since_ms > 0 && html`<span class="quiet"><${Since} ms=${agent.since_ms} /></span>`}</span>
      <span class="row-second quiet"><span class="row-line">${agent.pending ? t("state.pending") : t(`state.${presence}`)}${reason && ` · ${reason}`}</span>
        ${Object.entries(agent.load).map(([channel, n]) => html`<span class="person-load"><${Channel} channel=${channel} size=${15} /><span class="figures">${n}</span></span>`)}</span></span>
    ${agent.sessions > 0 && desk.watch.may("people") && html`<${IconButton} icon=${other === "ready" ? "play" : "pause"} label=${t(other === "ready" ? "make.ready" : "make.notready", { who: agent.name })}
      onClick=${() => desk.watch.act(`/v1/agents/${encodeURIComponent(agent.agent)}/state`, { state: other, reason: other === "ready" ? "" : "supervisor" })} />`}
  </li>`;
});

// --- one of those who wait ---------------------------------------------------------------------------------------------

function Item({ desk, state, watch }) {
  const { story, item } = watch;
  const one = watch.items.find((known) => known.id === item);
  return html`<aside class="panel item" aria-label=${item}>
    <div class="panel-head"><h2 dir="auto">${one ? who(one) : item}</h2><span class="quiet">${item}</span><span class="grow"></span>
      <${IconButton} icon="close" label=${t("close")} onClick=${() => desk.watch.choose({ item: "" })} /></div>
    ${!story && html`<p class="none">${watch.gone || t("loading")}</p>`}
    ${story && html`<${Story} story=${story} />`}
    ${story && story.state !== "closed" && may(state, "lead") && html`<${Acts} desk=${desk} state=${state} watch=${watch} story=${story} />`}
    <${Overheard} desk=${desk} state=${state} item=${item} />
    ${story?.agents && html`<${WhyNot} agents=${story.agents} />`}
  </aside>`;
}

const TRIES = ["misses", "declines", "connect_failures"]; // that came to nothing

function Story({ story }) {
  const rows = [
    [t("queue"), story.queue],
    [t("story.rule"), story.rule],
    [t("story.waited"), `${span(story.waited_ms)} (${Math.round(story.share_of_target * 100)} % ${t("story.of")} ${span(story.target_ms)})`],
    [t("story.asks"), inWords(story.requirement) || t("why.anybody")],
    [t("story.band"), story.band],
    [t("story.position"), story.position],
    [t("story.tries"), TRIES.some((name) => story[name]) ? TRIES.map((name) => t(`story.${name}`, { n: story[name] })).join(", ") : ""],
  ];
  return html`<p class="summary">${story.summary}</p>
    <dl class="table">${rows.filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    ${story.next_changes?.length > 0 && html`<h3 class="label">${t("story.next")}</h3>
      <ul class="changes">${story.next_changes.slice(0, 5).map((change) => html`<li><span class="quiet figures">${span(change.in_ms)}</span> ${change.effect}</li>`)}</ul>`}`;
}

function WhyNot({ agents }) {
  return html`<h3 class="label">${t("whynot")}</h3>
    <ul class="whynot">${agents.map((one) => html`<li key=${one.agent}><strong><${Somebody} id=${one.agent} /></strong> ${one.reason.replace(`${one.agent} `, "")}</li>`)}</ul>`;
}

function Acts({ desk, state, watch, story }) {
  const { bands } = state.me;
  const [agent, setAgent] = useState("");
  const [band, setBand] = useState("");
  const [override, setOverride] = useState(false);
  const [why, setWhy] = useState("");
  const at = `/v1/interactions/${story.interaction}`;
  const act = (what, body) => desk.watch.act(`${at}/${what}`, { ...body, why });
  const here = watch.agents.filter((one) => one.sessions);
  return html`<section class="acts" aria-label=${t("acts")}>
    <div class="act"><label class="grow"><span class="unseen">${t("act.assign")}</span>
        <select value=${agent} onChange=${(e) => setAgent(e.target.value)}><option value="">${t("act.agent")}</option>
          ${here.map((one) => html`<option value=${one.agent}>${one.name}</option>`)}</select></label>
      <${Button} busy=${!agent} onClick=${() => act("assign", { agent, override })}>${t("act.assign")}<//></div>
    <label class="inline-field start"><input type="checkbox" checked=${override} onChange=${(e) => setOverride(e.target.checked)} /><span>${t("act.override")}</span></label>
    ${bands.length > 1 && html`<div class="act"><label class="grow"><span class="unseen">${t("act.priority")}</span>
        <select value=${band} onChange=${(e) => setBand(e.target.value)}><option value="">${t("act.band")}</option>
          ${bands.filter((name) => name !== story.band).map((name) => html`<option value=${name}>${name}</option>`)}</select></label>
      <${Button} busy=${!band} onClick=${() => act("priority", { band })}>${t("act.priority")}<//></div>`}
    <label class="field"><span class="unseen">${t("act.why")}</span><input maxlength="1000" placeholder=${t("act.why")} value=${why} onInput=${(e) => setWhy(e.target.value)} /></label>
    <div class="act"><${Button} icon="again" onClick=${() => act("requeue")}>${t("act.requeue")}<//>
      <${Button} icon="close" onClick=${() => act("close")}>${t("act.close")}<//></div>
  </section>`;
}

export function Pages({ desk, state }) {
  const offers = Object.keys(state.view.offers).length;
  const pages = [["work", "page.work", state.me.agent], ["floor", "floor", may(state, "floor")], ["house", "house", may(state, "house")], ["audit", "audit", may(state, "house")]].filter(([, , there]) => there);
  return html`<nav class="pages" aria-label=${t("pages")}>${pages.map(([name, key]) => html`<button type="button" aria-current=${state.page === name ? "page" : undefined}
      onClick=${() => desk.turn(name)}>${t(key)}${name === "work" && offers > 0 && html` <span class="badge">${offers}</span>`}</button>`)}</nav>`;
}

