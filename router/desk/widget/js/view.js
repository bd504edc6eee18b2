// The picture of the chat. Nothing is decided here; texts of people stay texts.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { isOpen, markOf } from "./model.js";
import { coded, spoken, t } from "./words.js";

const hour = (ms) => new Intl.DateTimeFormat(spoken(), { hour: "2-digit", minute: "2-digit" }).format(new Date(ms));

export function View({ chat, look, direction }) {
  const [state, set] = useState(chat.state);
  useLayoutEffect(() => chat.follow(set), []); // at once: what comes before a busy browser has drawn is shown
  const launcher = useRef(null);
  const close = () => {
    chat.show(false);
    launcher.current.focus();
  };
  const keys = (event) => event.key === "Escape" && state.open && close();
  const label = state.open ? t("close") : state.unread ? t("open.unread", { n: state.unread }) : t("open");
  return html`<div class="chat" data-look=${look} dir=${direction} lang=${spoken()} onKeyDown=${keys}>
    ${state.open && html`<${Panel} chat=${chat} state=${state} onClose=${close} />`}
    <button type="button" class="launcher" ref=${launcher} aria-expanded=${String(state.open)} aria-label=${label} onClick=${() => (state.open ? close() : chat.show(true))}>
      <${Icon} name=${state.open ? "down" : "chat"} size=${26} />
      ${state.unread > 0 && !state.open && html`<span class="unread" aria-hidden="true">${state.unread}</span>`}
    </button>
    <p class="unseen" role="status">${!state.open && state.unread ? t("open.unread", { n: state.unread }) : ""}</p>
  </div>`;
}

function Panel({ chat, state, onClose }) {
  const { view, phase } = state;
  const over = view.state === "ended" || view.state === "none";
  const begins = phase === "idle" && view.state === "none";
  return html`<section class="panel" role="dialog" aria-label=${t("title")}>
    <${Head} chat=${chat} view=${view} onClose=${onClose} />
    ${phase === "stale" && html`<p class="banner warn" role="alert">${t("stale")}</p>`}
    ${view.closesAt > 0 && html`<div class="banner warn" role="alert"><span>${t("idle", { at: hour(view.closesAt) })}</span>
      <button type="button" class="button" onClick=${() => chat.here()}>${t("idle.here")}</button></div>`}
    ${begins ? html`<${Start} chat=${chat} state=${state} />` : html`<${Log} chat=${chat} state=${state} />`}
    ${!begins && html`<div class="foot">
      <${Standing} state=${state} />
      ${view.callback && html`<${CallBack} chat=${chat} state=${state} />`}
      ${over ? html`<${Over} chat=${chat} state=${state} />` : html`<${Writing} chat=${chat} state=${state} />`}
      ${view.transcript && html`<${Copy} chat=${chat} view=${view} />`}
    </div>`}
  </section>`;
}

function Head({ chat, view, onClose }) {
  const [sure, setSure] = useState(false);
  const open = isOpen(view);
  const end = () => {
    setSure(false);
    chat.leave();
  };
  return html`<header class="head">
    <h2>${view.state === "active" ? html`<span dir="auto">${view.name || t("agent")}</span>` : t("title")}</h2>
    ${open && !sure && html`<button type="button" class="quiet-button" onClick=${() => setSure(true)}>${t("end")}</button>`}
    ${open && sure && html`<span class="sure" role="group" aria-label=${t("end.sure")}>
      <button type="button" class="quiet-button" onClick=${end}>${t("end.yes")}</button>
      <button type="button" class="quiet-button" onClick=${() => setSure(false)}>${t("end.no")}</button></span>`}
    <button type="button" class="icon-button" aria-label=${t("close")} onClick=${onClose}><${Icon} name="close" /></button>
  </header>`;
}

// --- the beginning ---------------------------------------------------------------------------------------------------

/** data-topics="support:Support,sales:Sales" */
function topicsOf(options) {
  return (options.topics || "").split(",").filter(Boolean).map((one) => one.split(":")).map(([id, label]) => ({ id: id.trim(), label: (label || id).trim() }));
}

function Start({ chat, state }) {
  const topics = topicsOf(chat.options);
  const [name, setName] = useState("");
  const [topic, setTopic] = useState(topics[0]?.id || "");
  const submit = (event) => {
    event.preventDefault();
    chat.start({ name, topic });
  };
  return html`<form class="start" onSubmit=${submit}>
    <p>${t("start.text")}</p>
    ${!chat.options.name && html`<label class="field">${t("start.name")}<input value=${name} maxlength="100" autocomplete="name" dir="auto" onInput=${(e) => setName(e.target.value)} /></label>`}
    ${topics.length > 1 && html`<label class="field">${t("start.topic")}<select value=${topic} onChange=${(e) => setTopic(e.target.value)}>
      ${topics.map((one) => html`<option value=${one.id}>${one.label}</option>`)}</select></label>`}
    ${state.problem && html`<p class="problem" role="alert">${coded("no", state.problem)}</p>`}
    <button type="submit" class="button primary">${t("start.do")}</button>
  </form>`;
}

// --- what was said ---------------------------------------------------------------------------------------------------

function Log({ chat, state }) {
  const { view } = state;
  const box = useRef(null);
  const follows = useRef(true);
  const count = view.messages.length + view.sending.length;
  useLayoutEffect(() => {
    if (follows.current) box.current.scrollTop = box.current.scrollHeight;
  }, [count, view.typing]);
  const scrolled = () => {
    const { scrollTop, scrollHeight, clientHeight } = box.current;
    follows.current = scrollHeight - scrollTop - clientHeight < 60;
  };
  const last = view.messages.findLast((one) => one.author === "customer");
  return html`<div class="log" role="log" aria-live="polite" aria-label=${t("log")} tabindex="0" ref=${box} onScroll=${scrolled}>
    <ol>
      ${view.messages.map((one, index) => html`<${Said} key=${one.id || `${one.at_ms} ${index}`} chat=${chat} view=${view} one=${one} mark=${one === last} />`)}
      ${view.sending.filter((one) => one.kind === "message").map((one) => html`<${Sending} key=${one.id} chat=${chat} one=${one} />`)}
    </ol>
    ${view.typing && html`<p class="typing quiet" dir="auto">${t("typing", { name: view.typing.name || t("agent") })}</p>`}
  </div>`;
}

function Said({ chat, view, one, mark }) {
  if (one.author === "notice") return html`<li class="notice quiet">${t("joined", { name: one.name || t("agent") })}</li>`;
  const mine = one.author === "customer";
  const who = mine ? t("you") : one.author === "system" ? t("system") : one.name || t("agent");
  return html`<li class=${`said ${mine ? "mine" : one.author}`}>
    <p class="by"><span class=${mine ? "unseen" : ""} dir="auto">${who}</span> <time class="quiet">${hour(one.at_ms)}</time></p>
    <div class="words" dir="auto"><${Words} text=${one.text} /><${Files} chat=${chat} files=${one.files} /></div>
    ${mark && html`<p class="mark quiet">${t(`mark.${markOf(view, one)}`)}</p>`}
  </li>`;
}

function Sending({ chat, one }) {
  return html`<li class="said mine unsure">
    <div class="words" dir="auto">${one.text}${one.files.map((file) => html`<span class="file" key=${file.file}>${file.name}</span>`)}</div>
    ${one.problem
      ? html`<p class="problem" role="alert">${t("unsent", { why: coded("no", one.problem) })} <button type="button" class="link" onClick=${() => chat.takeBack(one)}>${t("unsent.again")}</button></p>`
      : html`<p class="mark quiet">${t("mark.sending")}</p>`}
  </li>`;
}

/** Text as it was written. Addresses can be opened; nothing else in it means anything. */
function Words({ text }) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(/\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/gi)) {
    found.push(text.slice(at, match.index), html`<a href=${match[0]} target="_blank" rel="noopener noreferrer">${match[0]}</a>`);
    at = match.index + match[0].length;
  }
  return [...found, text.slice(at)];
}

function Files({ chat, files }) {
  return files.map((file) => {
    const address = chat.address(file);
    const name = file.name || file.media_type;
    return address
      ? html`<a class="file" key=${file.url} href=${address} download=${name} aria-label=${t("file", { name })}><${Icon} name="file" size=${16} /><span>${name}</span></a>`
      : html`<span class="file" key=${name}><${Icon} name="file" size=${16} /><span>${name}</span></span>`;
  });
}

// --- how it stands ---------------------------------------------------------------------------------------------------

function wait(seconds) {
  if (seconds < 60) return t("wait.soon");
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? t("wait.minutes", { n: minutes }) : t("wait.hours", { n: Math.round(minutes / 60) });
}

function standing({ view, phase, problem }) {
  if (phase === "connecting" && view.state === "none") return problem ? coded("no", problem) : t("connecting");
  if (view.state === "active") return t("with", { name: view.name || t("agent") });
  if (view.state === "ended") return view.told || coded("ended", view.reason);
  if (view.state !== "queued") return problem ? coded("no", problem) : "";
  const place = view.position > 1 ? t("waiting", { n: view.position }) : t("waiting.next");
  const why = view.reason ? t(`waiting.${view.reason}`) : "";
  return [why, place, view.wait === null ? "" : t("waiting.wait", { t: wait(view.wait) })].filter(Boolean).join(" ");
}

function Standing({ state }) {
  return html`<p class="standing" role="status">${standing(state)}</p>`;
}

// --- what is written -------------------------------------------------------------------------------------------------

function Writing({ chat, state }) {
  const box = useRef(null);
  const input = useRef(null);
  useEffect(() => box.current.focus({ preventScroll: true }), []);
  const send = () => {
    chat.say();
    box.current.focus();
  };
  const keys = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    send();
  };
  const add = (event) => {
    for (const file of event.target.files) chat.upload(file);
    event.target.value = "";
  };
  const remove = (upload) => {
    chat.dismiss(upload);
    box.current.focus(); // its button is gone with it
  };
  const limit = Math.floor(chat.house.file_max / 1e5) / 10;
  return html`<div class="writing">
    <label class="unseen" for="write">${t("write")}</label>
    <textarea id="write" ref=${box} rows="2" dir="auto" maxlength=${chat.house.text_max} placeholder=${t("write")} value=${state.draft}
      onInput=${(e) => chat.write(e.target.value)} onKeyDown=${keys}></textarea>
    ${(state.files.length > 0 || state.uploads.length > 0) && html`<ul class="chips">
      ${state.files.map((file) => html`<li key=${file.file} class="chip"><span>${file.name}</span><button type="button" aria-label=${t("attach.remove", { name: file.name })} onClick=${() => chat.drop(file)}><${Icon} name="close" size=${12} /></button></li>`)}
      ${state.uploads.map((one) => html`<li key=${one.key} class=${one.problem ? "chip bad" : "chip"}>
        <span role=${one.problem ? "alert" : "status"}>${one.problem ? coded("attach", one.problem, { name: one.name, n: limit }) : t("attach.going", { name: one.name })}</span>
        <button type="button" aria-label=${t("attach.remove", { name: one.name })} onClick=${() => remove(one)}><${Icon} name="close" size=${12} /></button></li>`)}
    </ul>`}
    <div class="writing-foot">
      ${chat.house.file_types.length > 0 && html`<input type="file" hidden multiple ref=${input} accept=${chat.house.file_types.join(",")} aria-label=${t("attach")} onChange=${add} />
        <button type="button" class="icon-button" aria-label=${t("attach")} onClick=${() => input.current.click()}><${Icon} name="clip" /></button>`}
      <span class="grow quiet waits" role="status">${state.waits ? t("attach.waits") : ""}</span>
      <button type="button" class="button primary" aria-disabled=${state.waits ? "true" : undefined} onClick=${send}>${t("send")}</button>
    </div>
  </div>`;
}

// --- what else can be asked ------------------------------------------------------------------------------------------

function Over({ chat, state }) {
  const { view } = state;
  return html`${view.state === "ended" && html`<${Unsent} state=${state} />`}${view.letter && !view.left && html`<${Letter} chat=${chat} view=${view} />`}
    ${view.left && html`<p class="good" role="status">${t("letter.done")}</p>`}
    ${state.phase !== "connecting" && html`<button type="button" class=${view.letter ? "button" : "button primary"} onClick=${() => chat.start({})}>${t("again.do")}</button>`}`;
}

/** What was written and chosen when it ended: it stays for the next chat, and is not gone without a word. */
function Unsent({ state }) {
  const names = [...state.files, ...state.uploads.filter((one) => !one.problem)].map((file) => file.name);
  const what = [state.draft.trim() && t("quoted", { text: state.draft.trim() }), ...names].filter(Boolean);
  return what.length > 0 && html`<p class="problem kept" role="alert" dir="auto">${t("unsent.kept", { what: what.join(", ") })}</p>`;
}

function Letter({ chat, view }) {
  const [email, setEmail] = useState("");
  const [name, setName] = useState("");
  const [text, setText] = useState("");
  const mine = view.sending.find((one) => one.kind === "letter");
  const submit = (event) => {
    event.preventDefault();
    if (mine?.problem) chat.takeBack(mine);
    if (!mine || mine.problem) chat.letter({ email, name, text });
  };
  return html`<form class="start" onSubmit=${submit}>
    <h3>${t("letter.title")}</h3><p class="quiet">${t("letter.text")}</p>
    <label class="field">${t("start.name")}<input value=${name} maxlength="100" autocomplete="name" dir="auto" onInput=${(e) => setName(e.target.value)} /></label>
    <label class="field">${t("letter.email")}<input type="email" required maxlength="254" autocomplete="email" value=${email} onInput=${(e) => setEmail(e.target.value)} /></label>
    <label class="field">${t("letter.message")}<textarea required rows="4" dir="auto" maxlength=${chat.house.text_max} value=${text} onInput=${(e) => setText(e.target.value)}></textarea></label>
    ${mine?.problem && html`<p class="problem" role="alert">${t("unsent", { why: coded("no", mine.problem) })}</p>`}
    <button type="submit" class="button primary">${mine && !mine.problem ? t("mark.sending") : t("letter.do")}</button>
  </form>`;
}

function CallBack({ chat, state }) {
  const [phone, setPhone] = useState("");
  const submit = (event) => {
    event.preventDefault();
    chat.callback(phone);
  };
  return html`<form class="aside" onSubmit=${submit}>
    <label class="field"><strong>${state.view.callback.text || t("callback.title")}</strong> ${t("callback.phone")}
      <input type="tel" required maxlength="40" autocomplete="tel" value=${phone} onInput=${(e) => setPhone(e.target.value)} /></label>
    ${state.problem && html`<p class="problem" role="alert">${coded("no", state.problem)}</p>`}
    <button type="submit" class="button">${t("callback.do")}</button>
  </form>`;
}

function Copy({ chat, view }) {
  const [email, setEmail] = useState("");
  const mine = view.sending.find((one) => one.kind === "transcript");
  const submit = (event) => {
    event.preventDefault();
    if (mine) chat.takeBack(mine);
    chat.copy(email);
  };
  if (view.copied) return html`<p class="good" role="status">${t("copy.done")}</p>`;
  return html`<details class="aside"><summary>${t("copy.title")}</summary>
    <form onSubmit=${submit}>
      <label class="field">${t("copy.email")}<input type="email" required maxlength="254" autocomplete="email" value=${email} onInput=${(e) => setEmail(e.target.value)} /></label>
      ${mine?.problem && html`<p class="problem" role="alert">${t("unsent", { why: coded("no", mine.problem) })}</p>`}
      <button type="submit" class="button">${t("copy.do")}</button>
    </form></details>`;
}

// --- icons -----------------------------------------------------------------------------------------------------------

const PATHS = {
  chat: "M4 5h16v11H9l-5 4z",
  close: "M6 6l12 12M18 6L6 18",
  down: "M6 9l6 6 6-6",
  clip: "M19 11l-7.5 7.5a4 4 0 01-6-6L13 5a2.8 2.8 0 014 4l-7.500 7.500a1.400 1.400 0 01-2-2L14 8",
  file: "M7 3h7l4 4v14H7zM14 3v4h4",
};

function Icon({ name, size = 20 }) {
  return html`<svg class="icon" width=${size} height=${size} viewBox="0 0 24 24" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
