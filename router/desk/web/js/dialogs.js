// What stands in the way until it is answered: giving work on, leaving with open work, losing what was written.

import { html, useLayoutEffect, useRef, useState } from "./html.js";
import { Button } from "./parts.js";
import { who } from "./desk.js";
import { cannot } from "./talk.js";
import { unsent } from "./unsent.js";
import { t } from "./words.js";

const SHOWN = 40;
// What looks like one mail address; whether it is one the server says.
const ADDRESS = /^[^\s<>@,;:"()[\]\\]+@[^\s<>@,;:"()[\]\\]+$/;

export function Dialogs({ desk, state }) {
  const { dialog } = state;
  if (dialog?.kind === "signout") return html`<${SignOut} desk=${desk} state=${state} />`;
  const one = dialog && state.view.interactions[dialog.id];
  if (!one) return null;
  if (dialog.kind === "unsent") return html`<${Unsent} key="unsent" desk=${desk} state=${state} one=${one} act=${dialog.act} go=${dialog.go} />`;
  return html`<${Transfer} key="transfer" desk=${desk} state=${state} one=${one} />`;
}

/** The browser's own dialog: it holds the focus, and Escape closes it. The focus goes back to what opened it; where that
    is gone with what it belonged to, to where the work is. */
function Dialog({ title, onClose, children }) {
  const box = useRef(null);
  useLayoutEffect(() => {
    const [dialog, opener] = [box.current, document.activeElement];
    dialog.showModal();
    return () => {
      dialog.close();
      requestAnimationFrame(() => !document.querySelector("dialog[open]") && (there(opener) ? opener : document.getElementById("main"))?.focus());
    };
  }, []);
  return html`<dialog ref=${box} aria-labelledby="dialog-title" onCancel=${onClose} onClick=${(e) => e.target === box.current && onClose()}>
    <div class="dialog"><h2 id="dialog-title">${title}</h2>${children}</div>
  </dialog>`;
}

function there(element) {
  return element?.isConnected && element !== document.body;
}

function SignOut({ desk, state }) {
  const close = () => desk.dialog(null);
  const mine = Object.values(state.view.interactions);
  const begun = mine.filter((one) => unsent(state, one).length);
  return html`<${Dialog} title=${t("signout.title")} onClose=${close}>
    <p>${t("signout.text", { n: mine.length })}</p>
    ${begun.length > 0 && html`<p class="problem">${t("signout.unsent", { who: begun.map(who).join(", ") })}</p>`}
    <div class="dialog-acts"><${Button} onClick=${close}>${t("cancel")}<//><${Button} kind="bad" onClick=${() => desk.signOut()}>${t("menu.signout")}<//></div>
  <//>`;
}

/** First the way back: whoever pressed Enter once too often sends nothing that is half written. */
function Unsent({ desk, state, one, act, go }) {
  const kinds = unsent(state, one);
  const uploading = state.uploading[one.id];
  const sendable = kinds.includes("reply") ? "unsent.send" : kinds.includes("note") ? "unsent.add" : "";
  const busy = state.phase !== "live";
  return html`<${Dialog} title=${t("unsent.title")} onClose=${() => desk.dialog(null)}>
    <ul class="unsent">${kinds.map((kind) => html`<li key=${kind}>${t(`unsent.${kind}`, { who: who(one) })}</li>`)}</ul>
    ${uploading && html`<p class="quiet" role="status">${t("attach.uploading", { name: uploading })}</p>`}
    <div class="dialog-acts"><${Button} onClick=${() => desk.dialog(null)}>${t("unsent.back")}<//>
      <${Button} busy=${busy} onClick=${() => desk.letGo(one, go)}>${t(`unsent.without.${act}`)}<//>
      ${sendable && html`<${Button} kind="primary" busy=${busy || Boolean(uploading)} onClick=${() => desk.sendAndGo(one, go)}>${t(`${sendable}.${act}`)}<//>`}</div>
  <//>`;
}

function Transfer({ desk, state, one }) {
  const [sought, seek] = useState("");
  const [to, setTo] = useState(null);
  const [mode, setMode] = useState("blind");
  const [reason, setReason] = useState("");
  const close = () => desk.dialog(null);
  const { floor } = state;
  const has = (text) => text.toLowerCase().includes(sought.trim().toLowerCase());
  const queues = floor ? floor.queues.filter((line) => line.queue !== one.queue && has(line.queue)).slice(0, SHOWN) : [];
  const people = floor
    ? floor.colleagues
        .filter((agent) => agent.agent !== state.me.name && (has(agent.name) || has(agent.agent)))
        .sort((a, b) => rank(a) - rank(b))
        .slice(0, SHOWN)
    : [];
  const mail = one.channel === "email";
  const outside = mail && ADDRESS.test(sought.trim()) ? [sought.trim()] : [];
  const search = (text) => {
    seek(text);
    if (to?.address) setTo(null); // what is written on is another address
  };
  const send = (event) => {
    event.preventDefault();
    if (!to) return;
    const how = to.address ? "blind" : mode;
    const go = () => desk.transfer(one.id, to, how, reason);
    if (how === "blind") desk.parting(one, "transfer", go);
    else go(); // it stays here meanwhile
  };
  const choice = (kind, name, shown, detail, tone) => html`<label class="option" key=${`${kind} ${name}`}>
    <input type="radio" name="to" checked=${to?.[kind] === name} onChange=${() => setTo({ [kind]: name })} />
    <span class="grow">${shown}</span><span class=${`quiet ${tone}`}>${detail}</span></label>`;
  return html`<${Dialog} title=${t("transfer.title")} onClose=${close}>
    <form onSubmit=${send}>
      <label class="field"><span class="unseen">${t(mail ? "transfer.search.mail" : "transfer.search")}</span>
        <input type="search" placeholder=${t(mail ? "transfer.search.mail" : "transfer.search")} value=${sought} onInput=${(e) => search(e.target.value)} /></label>
      <fieldset class="options"><legend class="unseen">${t("transfer.to")}</legend>
        ${!floor && html`<p class="none">${t("loading")}</p>`}
        ${queues.length > 0 && html`<h3 class="label">${t("transfer.queues")}</h3>`}
        ${queues.map((line) => choice("queue", line.queue, line.queue, line.open ? t("waiting.n", { n: line.waiting }) : t("closed"), ""))}
        ${people.length > 0 && html`<h3 class="label">${t("transfer.people")}</h3>`}
        ${people.map((agent) => choice("agent", agent.agent, agent.name, t(`state.${agent.presence}`), `presence-${agent.presence}`))}
        ${outside.length > 0 && html`<h3 class="label">${t("transfer.outside")}</h3>`}
        ${outside.map((address) => choice("address", address, address, t("transfer.forward"), ""))}
        ${floor && !queues.length && !people.length && !outside.length && html`<p class="none">${t("transfer.none")}</p>`}
      </fieldset>
      <fieldset class="modes"><legend class="label">${t("transfer.how")}</legend>
        ${["blind", "consult"].map((name) => html`<label class="option"><input type="radio" name="mode" checked=${(to?.address ? "blind" : mode) === name} disabled=${cannot(one, name) || (name === "consult" && to?.address)}
          aria-describedby=${cannot(one, name) ? "cannot-consult" : undefined} onChange=${() => setMode(name)} /><span>${t(`transfer.${name}`)}</span></label>`)}
        ${cannot(one, "consult") && html`<p class="quiet" id="cannot-consult">${t("cannot.consult")}</p>`}
      </fieldset>
      <label class="field"><span>${t("transfer.reason")}</span><input maxlength="200" value=${reason} onInput=${(e) => setReason(e.target.value)} /></label>
      <div class="dialog-acts"><${Button} onClick=${close}>${t("cancel")}<//>
        <button class="button primary" disabled=${!to || state.phase !== "live" || state.busy[`transfer ${one.id}`]}><span>${t(mode === "blind" || to?.address ? "transfer.do" : "transfer.ask")}</span></button></div>
    </form>
  <//>`;
}

function rank(agent) {
  return { ready: 0, not_ready: 1, "signed-out": 2 }[agent.presence] * 100 + Math.min(agent.busy, 99);
}
