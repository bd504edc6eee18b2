// What people wrote of a customer: shown beside the conversation, changed by whoever works on it. What is half written
// outlives a reload; what somebody else wrote meanwhile is shown and never overwritten unseen.

import { moment } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { drafts } from "./keep.js";
import { Person, plain } from "./names.js";
import { Button, Words } from "./parts.js";
import { now } from "./time.js";
import { named, spoken, t } from "./words.js";

const LONG = new Set(["notes", "address"]);

function label(name) {
  const known = named("card", name);
  return known === name ? name.replaceAll("_", " ") : known;
}

export function Card({ desk, state, one }) {
  const at = `/v1/desk/customers/${one.consult?.of || one.id}`;
  const [card, setCard] = useState(null);
  const [failed, setFailed] = useState(false);
  const [draft, setDraft] = useState(() => drafts.get(one.id, "card"));
  const [stale, setStale] = useState(false);
  const [busy, setBusy] = useState(false);
  const read = () =>
    desk.api.get(at).then(
      (found) => (setCard(found), setFailed(false)),
      () => setFailed(true),
    );
  useEffect(() => {
    read();
  }, [at]);
  const write = (next) => {
    drafts.set(one.id, "card", next);
    setDraft(next);
  };
  const done = () => {
    write(null);
    setStale(false);
  };
  const save = async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries(Object.entries(draft).filter(([name, text]) => text.trim() !== (card.fields[name] || "")).map(([name, text]) => [name, text.trim()]));
    if (!Object.keys(fields).length) return done();
    setBusy(true);
    try {
      setCard(await desk.api.post(at, { version: card.version, fields }));
      desk.tell(t("card.saved"));
      done();
    } catch (problem) {
      if (problem.code === "illegal-move") {
        await read();
        setStale(true);
      } else desk.refused(problem);
    } finally {
      setBusy(false);
    }
  };
  const names = [...new Set([...state.me.customer_fields, ...Object.keys(card?.fields || {})])];
  const written = names.filter((name) => card?.fields[name]);
  const editable = card?.editable && state.me.customer_fields.length > 0;
  return html`<section class="about" aria-labelledby="card-title">
    <div class="about-head"><h2 class="label grow" id="card-title">${t("card")}</h2>
      ${editable && !draft && html`<${Button} onClick=${() => write({})}>${t("card.edit")}<//>`}</div>
    ${failed && !card && html`<p class="none">${t("card.failed")} <button type="button" class="link" onClick=${read}>${t("again")}</button></p>`}
    ${stale && html`<p class="banner warn" role="alert">${t("card.stale")}</p>`}
    ${card && (!draft || stale) && (written.length ? html`<dl class="table">${written.map((name) => html`<div key=${name}><dt>${label(name)}</dt><dd dir="auto"><${Words} text=${card.fields[name]} /></dd></div>`)}</dl>` : !draft && html`<p class="none">${t("card.none")}</p>`)}
    ${card && draft && html`<form class="about-form" onSubmit=${save}>
      ${state.me.customer_fields.map((name) => {
        const more = { dir: "auto", maxlength: 4000, value: draft[name] ?? card.fields[name] ?? "", onInput: (e) => write({ ...draft, [name]: e.target.value }) };
        return html`<label class="field" key=${name}>${label(name)}${LONG.has(name) ? html`<textarea rows="3" ...${more}></textarea>` : html`<input ...${more} />`}</label>`;
      })}
      <div class="act"><button class="button primary" disabled=${busy}><span>${t("card.save")}</span></button><${Button} onClick=${done}>${t("card.cancel")}<//></div>
    </form>`}
    ${card?.identities.length > 1 && html`<p class="quiet">${t("card.also")}: ${card.identities.slice(1).join(", ")}</p>`}
    ${card && html`<${Changes} card=${card} />`}
  </section>`;
}

/** The latest first; what operators joined and parted stands among them. */
function Changes({ card }) {
  const short = (text) => text || t("card.empty");
  const rows = [
    ...card.changes.map((x) => ({ ...x, text: t("card.change", { field: label(x.field), before: short(x.before), after: short(x.after) }) })),
    ...card.history.map((x) => ({ at_ms: x.at_ms, by: x.by, text: x.what })),
  ].sort((a, b) => b.at_ms - a.at_ms);
  if (!rows.length) return null;
  return html`<details class="about-changes"><summary class="label">${t("card.changes")} <span class="count">${rows.length}</span></summary>
    <ol class="notes">${rows.map((row, index) => html`<li key=${index}>
      <p class="said-by"><${Person} id=${plain(row.by)} /><time class="quiet figures">${moment(row.at_ms, spoken(), now())}</time></p>
      <p class="note-text" dir="auto">${row.text}</p></li>`)}</ol></details>`;
}
