// The right side: why this is mine, who it is, how it came out, what colleagues should know.

import { Card } from "./card.js";
import { moment } from "./format.js";
import { html, useState } from "./html.js";
import { drafts } from "./keep.js";
import { Person, plain } from "./names.js";
import { IconButton, Words } from "./parts.js";
import { Matches } from "./rail.js";
import { inWords } from "./requirement.js";
import { CallBack, History, Script } from "./texts.js";
import { now } from "./time.js";
import { languageName, named, spoken, t } from "./words.js";

export function Side({ desk, state, one }) {
  return html`<aside class="side" aria-label=${t("details")}>
    <div class="side-back"><${IconButton} icon="back" label=${t("conversation")} onClick=${() => desk.showPane("talk")} /><h2>${t("details")}</h2></div>
    <${Why} one=${one} />
    ${one.notes.length > 0 && html`<${Notes} one=${one} state=${state} />`}
    <${Script} desk=${desk} one=${one} />
    <${Customer} one=${one} />
    ${one.customer && html`<${Card} key=${one.customer} desk=${desk} state=${state} one=${one} />`}
    <${History} desk=${desk} one=${one} />
    <${Attributes} one=${one} />
    ${one.state === "active" && (!one.consult || one.consult.role === "owner") &&
    html`<section><h2 class="label">${t("outcome")}</h2><${Outcome} desk=${desk} state=${state} one=${one} /></section>`}
    ${!one.notes.length && html`<${Notes} one=${one} state=${state} />`}
    ${state.me.calls && one.state === "active" && (!one.consult || one.consult.role === "owner") && html`<${CallBack} desk=${desk} one=${one} />`}
  </aside>`;
}

function Why({ one }) {
  if (one.consult?.role === "consulted") return null; // somebody asked: it says so above the conversation
  const asks = inWords(one.requirement);
  return html`<section><h2 class="label">${t("why")}</h2>
    <p class="chips"><${Matches} interaction=${one} /></p>
    <p class="quiet">${asks ? t("why.asks", { what: asks }) : t("why.anybody")}</p>
  </section>`;
}

function Customer({ one }) {
  const rows = [
    ["customer.name", one.name],
    ["customer.address", one.channel === "chat" ? "" : one.sender],
    [one.channel === "phone" ? "customer.called" : "customer.wrote", one.channel === "walkin" || one.recipient === one.channel ? "" : one.recipient],
    ["customer.language", one.language && languageName(one.language)],
    ["customer.follows", one.consult ? "" : one.follows],
  ];
  if (!rows.some(([, value]) => value)) return null;
  return html`<section><h2 class="label">${t("customer")}</h2><${Table} rows=${rows.map(([key, value]) => [t(key), value])} /></section>`;
}

// What a channel says of the thing that came rather than of the customer: there for who looks for it.
const SAID_ELSEWHERE = new Set(["name", "language", "ticket"]);
const OF_THE_THING = new Set(["content_type", "envelope_sender", "size_bytes", "folder", "file", "kind", "condition", "pages", "width", "height", "dpi"]);
const WRITTEN = new Set(["email", "fax", "mail"]);

function Attributes({ one }) {
  const rows = Object.entries(one.attributes).filter(([name]) => !SAID_ELSEWHERE.has(name)).map(([name, value]) => [name, name.replaceAll("_", " "), value]);
  const technical = (name) => WRITTEN.has(one.channel) && OF_THE_THING.has(name);
  const [told, aside] = [rows.filter(([name]) => !technical(name)), rows.filter(([name]) => technical(name))];
  const table = (some) => html`<${Table} rows=${some.map(([, shown, value]) => [shown, value])} />`;
  return html`${told.length > 0 && html`<section><h2 class="label">${t("attributes")}</h2>${table(told)}</section>`}
    ${aside.length > 0 && html`<section><details><summary class="label">${t("attributes.technical")}</summary>${table(aside)}</details></section>`}`;
}

function Table({ rows }) {
  return html`<dl class="table">${rows.filter(([, value]) => value).map(([name, value]) => html`<div><dt>${name}</dt><dd dir="auto">${value}</dd></div>`)}</dl>`;
}

/** Chosen while the contact goes on, sent with `complete` or at the end of wrap-up. */
export function Outcome({ state, one, chosen = "" }) {
  const [draft, setDraft] = useState(() => drafts.get(one.id, "closing") || { disposition: chosen, notes: "" });
  const change = (fields) => {
    const next = { ...draft, ...fields };
    drafts.set(one.id, "closing", next);
    setDraft(next);
  };
  const { dispositions } = state.me;
  return html`<div class="outcome" key=${one.id}>
    ${dispositions.length > 0 &&
    html`<label class="field"><span class="unseen">${t("outcome")}</span>
      <select value=${draft.disposition} onChange=${(e) => change({ disposition: e.target.value })}>
        <option value="">${t("outcome.none")}</option>
        ${dispositions.map((one) => html`<option value=${one}>${named("outcome", one)}</option>`)}
      </select></label>`}
    <label class="field"><span class="unseen">${t("closing.note")}</span>
      <textarea rows="2" dir="auto" placeholder=${t("closing.note")} value=${draft.notes} onInput=${(e) => change({ notes: e.target.value })}></textarea></label>
  </div>`;
}

function Notes({ one, state }) {
  return html`<section><h2 class="label">${t("notes")}</h2>
    ${one.notes.length ? html`<ol class="notes">${one.notes.map((note, index) => html`<li key=${index}>
      <p class="said-by"><span>${byOf(note, state)}</span><time class="quiet figures">${moment(note.at_ms, spoken(), now())}</time></p>
      <p class="note-text" dir="auto"><${Words} text=${note.text} /></p></li>`)}</ol>` : html`<p class="none">${t("notes.none")}</p>`}
  </section>`;
}

function byOf(note, state) {
  const name = plain(note.by);
  return name === state.me.name ? t("you") : html`<${Person} id=${name} />`;
}
