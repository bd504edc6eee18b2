// What the house wrote for a queue: a script and guidelines beside the conversation, templates for what is written.

import { moment } from "./format.js";
import { html, useEffect, useState } from "./html.js";
import { Person } from "./names.js";
import { Words } from "./parts.js";
import { now } from "./time.js";
import { named, spoken, t } from "./words.js";

const NONE = { script: "", guidelines: "", templates: [] };
const known = new Map(); // queue -> its texts, for as long as this page lives

/** The texts of a queue; nothing until they are here, and where the server does not say. */
export function useTexts(desk, queue) {
  const [found, set] = useState(() => known.get(queue) || NONE);
  useEffect(() => {
    let gone = false;
    const show = (texts) => gone || set(texts);
    if (known.has(queue)) show(known.get(queue));
    else
      desk.api.get(`/v1/desk/queues/${encodeURIComponent(queue)}`).then(
        (texts) => {
          known.set(queue, texts);
          show(texts);
        },
        () => show(NONE),
      );
    return () => {
      gone = true;
    };
  }, [desk, queue]);
  return found;
}

function Paragraphs({ text }) {
  return text
    .trim()
    .split(/\n\s*\n/)
    .map((paragraph, index) => html`<p key=${index} dir="auto"><${Words} text=${paragraph} /></p>`);
}

export function Script({ desk, one }) {
  const { script, guidelines } = useTexts(desk, one.queue);
  return [
    ["script", script],
    ["guidelines", guidelines],
  ].map(([name, text]) => text && html`<section key=${name} class="script"><details open><summary class="label">${t(name)}</summary><${Paragraphs} text=${text} /></details></section>`);
}

function filled(text, state, one) {
  const values = { name: one.name || t("somebody"), agent: state.me.shown, subject: one.subject };
  return text.replace(/\{(name|agent|subject)\}/g, (_, word) => values[word]);
}

/** Those in the customer's language first. Choosing one adds it to what is written. */
export function Templates({ desk, state, one, add }) {
  const { templates } = useTexts(desk, one.queue);
  if (!templates.length) return null;
  const near = (template) => (template.language && one.language.startsWith(template.language) ? 0 : template.language ? 2 : 1);
  const sorted = [...templates].sort((a, b) => near(a) - near(b));
  const choose = (event) => {
    const template = sorted[Number(event.target.value)];
    event.target.value = "";
    if (template) add(filled(template.text, state, one));
  };
  return html`<label><span class="unseen">${t("templates")}</span><select class="templates" value="" onChange=${choose}>
    <option value="">${t("templates.choose")}</option>
    ${sorted.map((template, index) => html`<option key=${template.name} value=${String(index)}>${template.name}</option>`)}</select></label>`;
}

/** What the customer came with before, the newest first. */
export function History({ desk, one }) {
  const [past, setPast] = useState(null);
  useEffect(() => {
    let gone = false;
    desk.api.get(`/v1/desk/history/${one.consult?.of || one.id}`).then(
      (found) => gone || setPast(found.interactions),
      () => gone || setPast([]),
    );
    return () => {
      gone = true;
    };
  }, [desk, one.id]);
  if (!past?.length) return null;
  return html`<section aria-labelledby="history-title"><h2 class="label" id="history-title">${t("history")}</h2>
    <ol class="notes">${past.map((before) => html`<li key=${before.id}>
      <p class="said-by"><span>${named("channel", before.channel)} · ${before.queue}</span><time class="quiet figures">${moment(before.enqueued_at_ms, spoken(), now())}</time></p>
      ${before.subject && html`<p dir="auto">${before.subject}</p>`}
      <p class="quiet">${before.agent && html`<${Person} id=${before.agent} />`}${before.agent && before.disposition && " · "}${before.disposition && named("outcome", before.disposition)}</p>
      ${before.notes.map((note) => html`<p class="note-text" dir="auto"><${Words} text=${note.text} /></p>`)}</li>`)}</ol></section>`;
}

/** Promise the customer a call: now, or not before a moment. */
export function CallBack({ desk, one }) {
  const [open, setOpen] = useState(false);
  const [to, setTo] = useState(/^\+\d+$/.test(one.sender) ? one.sender : "");
  const [at, setAt] = useState("");
  const send = async (event) => {
    event.preventDefault();
    const body = { interaction: one.id, to: to.replace(/[\s().-]/g, ""), not_before_ms: at ? new Date(at).getTime() : 0 };
    if (await desk.promise(body)) setOpen(false);
  };
  return html`<section><details class="callback" open=${open} onToggle=${(e) => setOpen(e.target.open)}><summary class="label">${t("callback")}</summary>
    <form onSubmit=${send}>
      <label class="field">${t("callback.to")}<input type="tel" required maxlength="40" dir="ltr" placeholder="+15550199" value=${to} onInput=${(e) => setTo(e.target.value)} /></label>
      <label class="field">${t("callback.at")}<input type="datetime-local" value=${at} onInput=${(e) => setAt(e.target.value)} /></label>
      <button class="button plain"><span>${t("callback.do")}</span></button>
    </form></details></section>`;
}
