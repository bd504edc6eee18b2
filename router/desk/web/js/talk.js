// The middle: one interaction, what was said in it, and what is written next.

import { clock, moment, unquoted } from "./format.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";
import { drafts } from "./keep.js";
import { Person, useNames } from "./names.js";
import { Banner, Button, Channel, File, IconButton, isPicture, Picture, Since, Words } from "./parts.js";
import { hasPages, Pages } from "./pages.js";
import { Outcome } from "./side.js";
import { flagOf } from "./rail.js";
import { Templates } from "./texts.js";
import { now, useNow } from "./time.js";
import { who } from "./desk.js";
import { addressed, unsent } from "./unsent.js";
import { named, spoken, t } from "./words.js";

// Where something written here reaches the customer.
const WRITTEN = new Set(["chat", "email"]);
const HINTS = { phone: "phone.hint", walkin: "walkin.hint", fax: "scan.hint", mail: "scan.hint" };

export function Talk({ desk, state, one }) {
  const over = one.state === "wrap-up";
  const consult = one.consult;
  const speaks = WRITTEN.has(one.channel) && (!consult || consult.role === "owner" || consult.state === "conference");
  return html`<section class="talk" aria-label=${t("conversation")}>
    <${Head} desk=${desk} state=${state} one=${one} />
    ${consult && html`<${Consult} desk=${desk} state=${state} one=${one} />`}
    <${Log} desk=${desk} state=${state} one=${one} />
    ${over && html`<${WrapUp} desk=${desk} state=${state} one=${one} />`}
    ${!over && html`<${Composer} key=${`${one.id} ${speaks}`} desk=${desk} state=${state} one=${one} speaks=${speaks} />`}
  </section>`;
}

/** What the gateway that brought it cannot do is not offered, and said. */
export function cannot(one, what) {
  return Boolean(one.unable?.includes(what));
}

function Head({ desk, state, one }) {
  useDrafts(one.id);
  // One button stands out: what was begun is to be sent before anything ends.
  const begun = unsent(state, one).length > 0;
  const since = state.since[one.id];
  const active = one.state === "active";
  const mine = !one.consult || one.consult.role === "owner";
  const live = state.phase === "live";
  const flag = flagOf(one);
  return html`<header class="talk-head">
    <${IconButton} icon="back" label=${t("back")} onClick=${() => desk.showPane("list")} />
    <${Channel} channel=${one.channel} size=${22} />
    <div class="talk-title">
      <h1 dir="auto">${who(one)}</h1>
      <p class="quiet">${named("channel", one.channel)} · ${one.queue}${since &&
      html` · <${Since} ms=${since} say=${(text) => t("with", { t: text })} />`}${flag && html` <span class=${`flag ${flag.tone}`}>${flag.text}</span>`}</p>
    </div>
    <span class="to-side"><${IconButton} icon="other" label=${t("details")} onClick=${() => desk.showPane("side")} /></span>
    <div class="talk-acts">
      ${active && mine && one.channel === "phone" &&
      html`<${Button} icon=${one.on_hold ? "play" : "pause"} busy=${!live || state.busy[`hold ${one.id}`]} disabled=${cannot(one, "hold") || !live || state.busy[`hold ${one.id}`]}
        title=${cannot(one, "hold") ? t("cannot.hold") : undefined} aria-describedby=${cannot(one, "hold") ? "cannot-hold" : undefined} aria-pressed=${String(one.on_hold)}
        onClick=${() => desk.hold(one.id, !one.on_hold)}>${t(one.on_hold ? "resume" : "hold")}<//>`}
      ${active && mine && one.calls > 0 && !one.connected &&
      html`<${Button} icon="again" busy=${!live || state.busy[`recall ${one.id}`]} onClick=${() => desk.recall(one.id)}>${t("visitor.again", { n: one.calls })}<//>
        <${Button} icon="walkin" busy=${!live || state.busy[`arrived ${one.id}`]} onClick=${() => desk.arrived(one.id)}>${t("visitor.here")}<//>`}
      ${active && !one.consult &&
      html`<${Button} icon="move" busy=${!live} onClick=${() => desk.dialog({ kind: "transfer", id: one.id, of: one.state })}>${t("transfer")}<//>`}
      ${active && mine &&
      html`<${Button} kind=${begun ? "plain" : "primary"} icon="check" busy=${!live || state.busy[`complete ${one.id}`]} onClick=${() => desk.parting(one, "complete", () => desk.complete(one.id))}>${t("complete")}<//>`}
    </div>
    ${active && mine && one.channel === "phone" && cannot(one, "hold") && html`<p class="talk-cannot quiet" id="cannot-hold">${t("cannot.hold")}</p>`}
  </header>`;
}

// --- what was said ---------------------------------------------------------------------------------------------------

function Log({ desk, state, one }) {
  const box = useRef(null);
  const list = useRef(null);
  const letters = state.sending[one.id] || [];
  const count = one.messages.length + letters.length;
  const follows = useRef(true);
  useLayoutEffect(() => {
    follows.current = true;
  }, [one.id]);
  // Of a chat the end is read, of a letter its beginning. What grows later (a picture, a mail's text) or takes from the
  // height of the box moves nobody away from there.
  useLayoutEffect(() => {
    const keep = () => {
      if (!follows.current || !box.current) return;
      const letter = one.channel === "email" && box.current.querySelector("li:last-child:not(:first-child)");
      box.current.scrollTop = letter ? letter.offsetTop - box.current.offsetTop : one.channel === "email" ? 0 : box.current.scrollHeight;
    };
    keep();
    const watcher = new ResizeObserver(keep);
    watcher.observe(box.current);
    watcher.observe(list.current);
    return () => watcher.disconnect();
  }, [one.id, count, one.state, one.channel]);
  const scrolled = ({ currentTarget }) => {
    const { scrollTop, scrollHeight, clientHeight } = currentTarget; // it may come when the box is gone from the page
    if (one.channel !== "email") follows.current = scrollHeight - scrollTop - clientHeight < 60;
  };
  const mail = state.mails[one.id];
  return html`<div class=${`log ${one.channel === "email" ? "letters" : ""}`} ref=${box} onScroll=${scrolled} role="log" tabindex="0" aria-label=${t("log")}>
    ${one.subject && one.subject !== one.queue && html`<h2 class="subject" dir="auto">${one.subject}</h2>`}
    ${one.channel === "phone" && html`<${Line} one=${one} />`}
    ${mail?.problem && html`<${Banner} tone="warn"><span class="grow">${t("mail.missing", { why: mail.problem })}</span>
      <${Button} icon="again" onClick=${() => desk.retryMail(one.id)}>${t("again")}<//><//>`}
    <ol ref=${list}>
      ${one.messages.map((message, index) => html`<${Said} key=${index} desk=${desk} state=${state} one=${one} message=${message} text=${textOf(message, index, one, mail)} />`)}
      ${letters.map((letter) => html`<${Letter} key=${letter.key} desk=${desk} one=${one} letter=${letter} />`)}
    </ol>
    ${one.channel === "chat" && one.state === "active" && html`<${Passing} state=${state} one=${one} />`}
    ${!count && HINTS[one.channel] && html`<p class="log-hint">${t(HINTS[one.channel])}</p>`}
  </div>`;
}

/** Whether the customer writes, and how far they have got with what we said last. */
function Passing({ state, one }) {
  const { typing, receivedMs = 0, readMs = 0 } = state.signals[one.id] || {};
  const last = one.messages[one.messages.length - 1];
  const ours = last?.author === "agent" ? last.at_ms : 0;
  const mark = ours > 0 && (ours <= readMs ? "mark.read" : ours <= receivedMs ? "mark.received" : "mark.sent");
  return html`${mark && html`<p class="mark quiet">${t(mark)}</p>`}
    <p class="typing quiet" role="status">${typing ? t("typing", { who: who(one) }) : ""}</p>`;
}

/** Of a mail what the server read in it; undefined while it is on its way. */
function textOf(message, index, one, mail) {
  if (one.channel !== "email" || message.author !== "customer") return message.text || "";
  return mail?.messages?.[index]?.text ?? (mail?.problem ? "" : undefined);
}

function Line({ one }) {
  if (one.state !== "active") return null;
  const word = one.on_hold ? "held" : one.connected ? "phone.connected" : "phone.ringing";
  return html`<div class=${`line ${one.on_hold ? "held" : one.connected ? "up" : ""}`} role="status">
    <${Icon} name=${one.on_hold ? "pause" : "phone"} size=${22} /><strong>${t(word)}</strong>
    <span class="quiet figures" dir="auto">${one.sender}</span>
  </div>`;
}

function author(state, one, message) {
  if (message.author === "system") return t("system");
  if (message.author === "customer") return message.sender && message.sender !== one.sender ? message.sender : who(one);
  return message.agent === state.me.name ? t("you") : html`<${Person} id=${message.agent} />`;
}

function Said({ desk, state, one, message, text }) {
  const side = message.author === "agent" ? "ours" : message.author === "customer" ? "theirs" : "system";
  const files = message.attachments || [];
  return html`<li class=${`said ${side}`}>
    <p class="said-by"><span dir="auto">${author(state, one, message)}</span>
      <time class="quiet figures">${moment(message.at_ms, spoken(), now())}</time></p>
    <div class="said-text" dir="auto">${text === undefined ? html`<span class="quiet">${t("loading")}</span>` : html`<${Text} text=${text} mail=${one.channel === "email"} />`}
      ${files.filter(isPicture).map((file) => html`<${Picture} key=${file.digest} desk=${desk} file=${file} />`)}
      ${files.filter(hasPages).map((file) => html`<${Pages} key=${file.digest} desk=${desk} file=${file} />`)}
      ${files.length > 0 && html`<div class="files">${files.map((file) => html`<${File} desk=${desk} file=${file} />`)}</div>`}
    </div>
  </li>`;
}

function Text({ text, mail }) {
  if (!mail) return html`<${Words} text=${text} />`;
  const { words, quoted } = unquoted(text);
  return html`<${Words} text=${words.trim()} />${quoted && html`<details class="quoted"><summary>${t("quoted")}</summary><${Words} text=${quoted} /></details>`}`;
}

function Letter({ desk, one, letter }) {
  const back = () => {
    const old = drafts.get(one.id, "say") || "";
    drafts.set(one.id, "say", [old, desk.takeBack(one.id, letter)].filter(Boolean).join("\n"));
  };
  return html`<li class="said ours unsure">
    <p class="said-by"><span>${t("you")}</span><span class="quiet">${letter.problem ? "" : t("sending")}</span></p>
    <div class="said-text" dir="auto">${letter.fields.text}</div>
    ${letter.problem && html`<p class="problem" role="alert">${t("unsent", { why: letter.problem })} <button type="button" class="link" onClick=${back}>${t("again")}</button></p>`}
  </li>`;
}

// --- what is written next --------------------------------------------------------------------------------------------

/** Drawn again whenever a draft of this interaction is another. */
function useDrafts(id) {
  const [, again] = useState({});
  useLayoutEffect(() => {
    const changed = (event) => event.detail === id && again({});
    addEventListener("draft-changed", changed);
    return () => removeEventListener("draft-changed", changed);
  }, [id]);
}

/** A text that is kept while it is written. */
function useDraft(id, kind) {
  useDrafts(id);
  return [drafts.get(id, kind) || "", (next) => drafts.set(id, kind, next)];
}

function Composer({ desk, state, one, speaks }) {
  const [tab, setTab] = useState(speaks ? "reply" : "note");
  return html`<div class="composer">
    ${speaks &&
    html`<div class="tabs" role="tablist" aria-label=${t("reply")}>
      ${["reply", "note"].map((name) => html`<button type="button" role="tab" id=${`tab-${name}`} aria-controls="composer-panel"
        aria-selected=${String(tab === name)} tabindex=${tab === name ? 0 : -1} onClick=${() => setTab(name)}
        onKeyDown=${(e) => {
          if (e.key !== "ArrowRight" && e.key !== "ArrowLeft") return;
          const other = tab === "reply" ? "note" : "reply";
          setTab(other);
          document.getElementById(`tab-${other}`).focus();
        }}>${t(name)}</button>`)}
    </div>`}
    <div id="composer-panel" role=${speaks ? "tabpanel" : undefined} aria-labelledby=${speaks ? `tab-${tab}` : undefined}>
      ${tab === "reply" ? html`<${Reply} desk=${desk} state=${state} one=${one} />` : html`<${Note} desk=${desk} state=${state} one=${one} />`}
    </div>
  </div>`;
}

function Reply({ desk, state, one }) {
  const [text, setText] = useDraft(one.id, "say");
  const [files, setFiles] = useDraft(one.id, "files");
  const mail = one.channel === "email";
  const list = files || [];
  const uploading = state.uploading[one.id] || "";
  const label = t(mail ? "reply.email" : "reply.chat", { who: who(one) });
  const write = (next) => {
    setText(next);
    if (one.channel === "chat") desk.writes(addressed(one), next);
  };
  const send = () => desk.reply(one);
  return html`<${Writing} id="reply" label=${label} text=${text} setText=${write} onSend=${send} quick=${!mail} tall=${mail}>
    <${Files} uploading=${uploading} add=${(some) => desk.attach(one.id, some)} list=${list} setList=${(next) => setFiles(next.length ? next : "")} />
    <${Templates} desk=${desk} state=${state} one=${one} add=${(more) => setText([text.trimEnd(), more].filter(Boolean).join("\n\n"))} />
    <span class="grow"></span>
    <${Button} kind=${text.trim() || list.length ? "primary" : "plain"} icon="send" keys=${mail ? "Ctrl ↵" : "↵"} busy=${Boolean(uploading)} onClick=${send}>${t("send")}<//>
  <//>`;
}

function Note({ desk, state, one }) {
  const [text, setText] = useDraft(one.id, "note");
  const busy = state.busy[`note ${addressed(one)}`] || state.phase !== "live";
  const send = () => desk.addNote(one);
  return html`<${Writing} id="note" label=${t("note")} text=${text} setText=${setText} onSend=${send}>
    <span class="quiet hint grow"><${Icon} name="lock" size=${14} /> ${t("note.hint")}</span>
    <${Button} kind=${text.trim() ? "primary" : "plain"} keys="Ctrl ↵" busy=${busy} onClick=${send}>${t("note.add")}<//>
  <//>`;
}

/** `quick`: Enter sends and Shift-Enter is a new line; otherwise only Ctrl-Enter sends. */
function Writing({ id, label, text, setText, onSend, quick, tall, children }) {
  const keys = (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    const sends = event.ctrlKey || event.metaKey || (quick && !event.shiftKey);
    if (!sends) return;
    event.preventDefault();
    onSend();
  };
  return html`<div class="writing">
    <label class="unseen" for=${id}>${label}</label>
    <textarea id=${id} class=${tall ? "tall" : ""} dir="auto" rows=${tall ? 5 : 2} placeholder=${label} value=${text}
      onInput=${(e) => setText(e.target.value)} onKeyDown=${keys}></textarea>
    <div class="writing-foot">${children}</div>
  </div>`;
}

function Files({ uploading, add, list, setList }) {
  const input = useRef(null);
  const chosen = (event) => {
    add([...event.target.files]);
    event.target.value = "";
  };
  const drop = (file) => setList(list.filter((one) => one !== file));
  return html`<input type="file" multiple hidden ref=${input} onChange=${chosen} aria-label=${t("attach")} />
    <${IconButton} icon="clip" label=${t("attach")} disabled=${Boolean(uploading)} onClick=${() => input.current.click()} />
    ${uploading && html`<span class="quiet" role="status">${t("attach.uploading", { name: uploading })}</span>`}
    ${list.map((file) => html`<span class="chip file-chip">${file.name}<button type="button" aria-label=${t("attach.remove", { name: file.name })} onClick=${() => drop(file)}><${Icon} name="close" size=${12} /></button></span>`)}`;
}

// --- wrap-up ---------------------------------------------------------------------------------------------------------

function WrapUp({ desk, state, one }) {
  const busy = state.phase !== "live" || state.busy[`complete ${one.id}`];
  return html`<div class="wrapup">
    <div class="wrapup-head"><strong>${t("wrapup.title")}</strong><${Left} until=${one.wrap_up_until_ms} /></div>
    <${Outcome} desk=${desk} state=${state} one=${one} chosen=${one.disposition} />
    <div class="wrapup-acts">
      ${one.wrap_up_until_ms > 0 && html`<${Button} busy=${busy || state.busy[`extend ${one.id}`]} onClick=${() => desk.extend(one.id)}>${t("wrapup.more")}<//>`}
      <${Button} kind="primary" icon="check" busy=${busy} onClick=${() => desk.parting(one, "finish", () => desk.finish(one.id))}>${t("wrapup.finish")}<//>
    </div>
  </div>`;
}

function Left({ until }) {
  const at = useNow();
  return until > 0 ? html`<span class="quiet figures" role="timer">${t("wrapup.left", { t: clock(until - at) })}</span>` : null;
}

// --- consult ---------------------------------------------------------------------------------------------------------

function Consult({ desk, state, one }) {
  const { consult } = one;
  const owner = consult.role === "owner";
  const names = useNames();
  const other = owner && !consult.agent ? consult.address : names(owner ? consult.agent : consult.owner);
  const busy = state.phase !== "live" || state.busy[`consult ${one.id}`];
  const end = () => desk.consult(one.id, "end_consult"); // who was asked leaves by it, and takes nothing along
  const word = consult.state === "asking" ? "consult.asking" : consult.state === "conference" ? "consult.conference" : owner ? "consult.with" : "consult.by";
  return html`<section class="consult" aria-label=${t("consult.between")}>
    <div class="consult-head"><strong class="grow">${t(word, { who: other })}</strong>
      ${owner && consult.state !== "asking" && html`
        ${consult.state === "consulting" && html`<${Button} busy=${busy} onClick=${() => desk.consult(one.id, "join_consult")}>${t("consult.join")}<//>`}
        <${Button} kind="primary" busy=${busy} onClick=${() => desk.parting(one, "handover", () => desk.consult(one.id, "complete_consult"))}>${t("consult.complete")}<//>`}
      <${Button} busy=${busy} onClick=${() => (owner ? end() : desk.parting(one, "leave", end))}>${t("consult.end")}<//>
    </div>
    ${consult.state !== "asking" && consult.id && html`<${Between} desk=${desk} state=${state} one=${one} other=${other} />`}
  </section>`;
}

function Between({ desk, state, one, other }) {
  const [text, setText] = useDraft(one.id, "between");
  const send = () => {
    if (text.trim() && desk.say(one.consult.id, one.consult.id, text, []) !== null) setText("");
  };
  const letters = state.sending[one.consult.id] || [];
  return html`<ol class="between">${(one.consult.messages || []).map((message, index) => html`<li key=${index}><strong>${author(state, one, message)}</strong> <span dir="auto">${message.text}</span></li>`)}
      ${letters.map((letter) => html`<li key=${letter.key} class="quiet">${letter.fields.text} ${letter.problem}</li>`)}</ol>
    <${Writing} id="between" label=${t("consult.write", { who: other })} text=${text} setText=${setText} onSend=${send} quick=${true}>
      <span class="grow"></span><${Button} keys="↵" onClick=${send}>${t("send")}<//>
    <//>`;
}
