// For operators: who did what, the newest first, as the audit has it (docs/accounts.md). What is asked for stands in the
// fields; a page more is asked for by a button. Nothing here is asked by itself: what is being read stays where it is.

import { moment } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Person } from "./names.js";
import { Button } from "./parts.js";
import { now } from "./time.js";
import { named, refusal, spoken, t } from "./words.js";

const PAGE = 50;
const UNASKED = { who: "", act: "", subject: "", from: "", until: "" };
const INTERACTION = /^i-\d+$/;

/** The question of these fields, as the server takes it. Pure. */
export function question({ who, act, subject, from, until }, before) {
  const at = (local) => (local ? new Date(local).getTime() : 0);
  const asked = { who: who.trim(), act, subject: subject.trim(), from_ms: at(from), until_ms: at(until), before, limit: PAGE };
  return `/v1/audit?${new URLSearchParams(Object.entries(asked).filter(([, value]) => value))}`;
}

export function Audit({ desk }) {
  const [asked, ask] = useState(UNASKED);
  const [found, setFound] = useState({ acts: null, next: 0, failing: "" });
  const [names, setNames] = useState({ who: [], acts: [] });
  const [busy, setBusy] = useState(true);
  const last = useRef(0); // what was asked last counts; an answer that comes late is dropped
  const look = async (before = 0) => {
    const mine = (last.current += 1);
    setBusy(true);
    try {
      const page = await desk.watch.api.get(question(asked, before));
      if (mine !== last.current) return;
      setFound((known) => ({ acts: before ? [...known.acts, ...page.acts] : page.acts, next: page.next, failing: "" }));
    } catch (problem) {
      if (mine !== last.current) return;
      setFound((known) => ({ ...known, failing: refusal(problem) }));
    }
    setBusy(false);
  };
  useEffect(() => {
    desk.watch.show("audit");
    desk.watch.api.get("/v1/audit/names").then(setNames, () => null); // fields can be filled in without
    return () => {
      last.current += 1;
    };
  }, [desk]);
  useEffect(() => {
    look();
  }, [asked]);
  const chosen = Object.values(asked).some(Boolean);
  return html`<main id="main" class="board" tabindex="-1">
    <section class="panel audit" aria-labelledby="audit-title" aria-busy=${String(busy)}>
      <div class="panel-head"><h1 id="audit-title">${t("audit")}</h1><span class="grow"></span>
        <${Button} icon="again" busy=${busy} onClick=${() => look()}>${t("audit.again")}<//></div>
      <p class="quiet">${t("audit.about")}</p>
      <${Filters} asked=${asked} ask=${ask} names=${names} />
      ${found.failing && html`<div class="banner bad" role="alert">${t("audit.failing")} ${found.failing}</div>`}
      ${!found.acts && !found.failing && html`<p class="none">${t("loading")}</p>`}
      <div role="status">${found.acts?.length === 0 && html`<p class="none">${t(chosen ? "audit.none.such" : "audit.none")}
        ${chosen && html` <button type="button" class="link" onClick=${() => ask(UNASKED)}>${t("audit.all")}</button>`}</p>`}
        ${found.acts?.length > 0 && html`<span class="unseen">${t("audit.shown", { n: found.acts.length })}</span>`}</div>
      ${found.acts?.length > 0 && html`<${Acts} desk=${desk} acts=${found.acts} narrow=${(fields) => ask({ ...asked, ...fields })} />`}
      ${found.next > 0 && html`<div class="act"><${Button} icon="down" busy=${busy} onClick=${() => look(found.next)}>${t("audit.older")}<//></div>`}
    </section>
  </main>`;
}

function Filters({ asked, ask, names }) {
  const [draft, setDraft] = useState(asked);
  useEffect(() => setDraft(asked), [asked]);
  const change = (name) => (event) => setDraft({ ...draft, [name]: event.target.value });
  const send = (event) => {
    event.preventDefault();
    ask({ ...draft });
  };
  return html`<form class="audit-asked" onSubmit=${send} role="search" aria-label=${t("audit.filter")}>
    <label class="field"><span>${t("audit.who")}</span>
      <input list="audit-people" maxlength="120" autocomplete="off" dir="auto" value=${draft.who} onInput=${change("who")} />
      <datalist id="audit-people">${names.who.map((name) => html`<option key=${name} value=${name}></option>`)}</datalist></label>
    <label class="field"><span>${t("audit.act")}</span>
      <select value=${draft.act} onChange=${change("act")}><option value="">${t("audit.any")}</option>
        ${names.acts.map((name) => html`<option key=${name} value=${name}>${named("did", name)}</option>`)}</select></label>
    <label class="field"><span>${t("audit.subject")}</span>
      <input maxlength="200" autocomplete="off" dir="auto" value=${draft.subject} onInput=${change("subject")} /></label>
    <label class="field"><span>${t("audit.from")}</span><input type="datetime-local" value=${draft.from} onInput=${change("from")} /></label>
    <label class="field"><span>${t("audit.until")}</span><input type="datetime-local" value=${draft.until} onInput=${change("until")} /></label>
    <div class="audit-do"><button class="button primary"><span>${t("audit.do")}</span></button>
      <${Button} onClick=${() => ask(UNASKED)}>${t("audit.all")}<//></div>
  </form>`;
}

function Acts({ desk, acts, narrow }) {
  const heads = ["audit.when", "audit.who", "audit.act", "audit.subject", "audit.detail", "audit.address"];
  return html`<table class="audit-acts" role="table" aria-labelledby="audit-title">
    <thead role="rowgroup"><tr role="row">${heads.map((key) => html`<th key=${key} role="columnheader" scope="col">${t(key)}</th>`)}</tr></thead>
    <tbody role="rowgroup">${acts.map((one) => html`<tr key=${one.number} role="row">
      <td role="cell" class="figures quiet"><time datetime=${new Date(one.at_ms).toISOString()} title=${new Date(one.at_ms).toLocaleString(spoken())}>${moment(one.at_ms, spoken(), now())}</time></td>
      <td role="cell"><${Who} who=${one.who} narrow=${narrow} /></td>
      <td role="cell"><strong>${named("did", one.act)}</strong></td>
      <td role="cell"><${Subject} desk=${desk} subject=${one.subject} narrow=${narrow} /></td>
      <td role="cell" class="audit-detail" dir="auto">${one.detail}</td>
      <td role="cell" class="quiet figures">${one.address}</td></tr>`)}</tbody>
  </table>`;
}

/** Somebody and as what they acted: `supervisor:sue`. Nobody is who was not let in. */
function Who({ who, narrow }) {
  if (!who) return html`<span class="quiet">${t("audit.nobody")}</span>`;
  const [role, ...name] = who.split(":");
  return html`<button type="button" class="link" title=${t("audit.only", { what: who })} onClick=${() => narrow({ who })}><${Person} id=${name.join(":")} /></button>
    <span class="quiet">${named("role", role)}</span>`;
}

function Subject({ desk, subject, narrow }) {
  if (!subject) return "";
  if (INTERACTION.test(subject)) {
    return html`<button type="button" class="link" title=${t("audit.open")} onClick=${() => desk.open(subject)}>${subject}</button>
      <button type="button" class="link quiet" onClick=${() => narrow({ subject })}>${t("audit.its")}<span class="unseen"> ${subject}</span></button>`;
  }
  return html`<button type="button" class="link" title=${t("audit.only", { what: subject })} onClick=${() => narrow({ subject })} dir="auto">${subject}</button>`;
}
