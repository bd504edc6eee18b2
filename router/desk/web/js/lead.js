// What supervisors do with a conversation of others: read along, unseen; a word to its agent; join; take over. And a word
// to all of their agents. The server asks for the role and the team each time, and writes down who looked.

import { bytes, moment } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Person, plain } from "./names.js";
import { Button, Words } from "./parts.js";
import { now } from "./time.js";
import { may } from "./watch.js";
import { spoken, t } from "./words.js";

export function Overheard({ desk, state, item }) {
  const { content, story } = state.watch;
  const box = useRef(null);
  const count = content?.interaction === item ? content.messages.length : 0;
  useEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [count]);
  if (!may(state, "words") || content?.interaction !== item) return null;
  return html`<section class="overheard" aria-labelledby="overheard-title">
    <h3 class="label" id="overheard-title">${t("lead.conversation")}</h3>
    <p class="quiet">${t("lead.unseen")}</p>
    <ol class="overheard-log" ref=${box} tabindex="0" aria-labelledby="overheard-title">
      ${content.messages.map((message, index) => html`<li key=${index} class=${`said ${message.author === "agent" ? "ours" : message.author === "customer" ? "theirs" : "system"}`}>
        <p class="said-by"><span dir="auto">${t(`lead.by.${message.author}`)}${message.agent && html` · <${Person} id=${message.agent} />`}</span>
          <time class="quiet figures">${moment(message.at_ms, spoken(), now())}</time></p>
        <div class="said-text" dir="auto"><${Words} text=${message.new || message.text || ""} />
          ${(message.attachments || []).map((file) => html`<p class="quiet">${file.name || file.media_type} · ${bytes(file.size)}</p>`)}</div>
      </li>`)}
    </ol>
    ${!content.messages.length && html`<p class="none">${t("lead.silent")}</p>`}
    ${content.notes.length > 0 && html`<h3 class="label">${t("notes")}</h3><ol class="notes">${content.notes.map((note, index) => html`<li key=${index}>
      <p class="said-by"><${Person} id=${plain(note.by)} /><time class="quiet figures">${moment(note.at_ms, spoken(), now())}</time></p>
      <p class="note-text" dir="auto"><${Words} text=${note.text} /></p></li>`)}</ol>`}
    ${story && story.state !== "closed" && may(state, "lead") && html`<${Into} desk=${desk} state=${state} item=${item} />`}
  </section>`;
}

/** Into the conversation: beside its agent or in their place. */
function Into({ desk, state, item }) {
  const [text, setText] = useState("");
  const at = `/v1/interactions/${item}`;
  const one = state.watch.items.find((known) => known.id === item);
  const theirs = one?.state === "active" && one.agent !== state.me.name;
  const works = state.me.agent && state.phase === "live";
  const note = async (event) => {
    event.preventDefault();
    if (await desk.watch.act(`${at}/note`, { text })) setText("");
  };
  const enter = async (what) => {
    if (await desk.watch.act(`${at}/${what}`)) desk.turn("work");
  };
  return html`<form class="act" onSubmit=${note}>
      <label class="grow"><span class="unseen">${t("lead.note")}</span><input required maxlength="4000" placeholder=${t("lead.note")} value=${text} onInput=${(e) => setText(e.target.value)} /></label>
      <button class="button plain"><span>${t("lead.note.do")}</span></button></form>
    ${state.me.agent && html`<div class="act">
      ${theirs && html`<${Button} icon="other" busy=${!works} onClick=${() => enter("join")}>${t("lead.join")}<//>`}
      <${Button} icon="move" busy=${!works} onClick=${() => enter("take")}>${t("lead.take")}<//></div>`}`;
}

export function Broadcast({ desk, state }) {
  const [text, setText] = useState("");
  if (!may(state, "lead")) return null;
  const send = async (event) => {
    event.preventDefault();
    if (await desk.watch.act("/v1/broadcast", { text })) setText("");
  };
  return html`<form class="panel broadcast" onSubmit=${send}>
    <label class="field"><span>${t("lead.broadcast")}</span>
      <input required maxlength="1000" dir="auto" value=${text} onInput=${(e) => setText(e.target.value)} /></label>
    <button class="button plain"><span>${t("lead.broadcast.do")}</span></button>
  </form>`;
}

/** A supervisor's word, over the work until it is read. */
export function Announcements({ desk, state }) {
  return html`<div role="status" aria-live="polite">${state.announced.map((one) => html`<div key=${one.seq} class="banner warn announced">
    <span class="grow" dir="auto"><strong><${Person} id=${plain(one.by)} /></strong> ${one.text} <time class="quiet figures">${moment(one.at_ms, spoken(), now())}</time></span>
    <${Button} onClick=${() => desk.heard(one.seq)}>${t("lead.read")}<//></div>`)}</div>`;
}
