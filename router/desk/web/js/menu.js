// Settings of taste, notifications, the keys, and the way out.

import { html, useEffect, useRef, useState } from "./html.js";
import { IconButton } from "./parts.js";
import { LANGUAGES, t } from "./words.js";

export const KEYS = [
  ["F2", "keys.ready"],
  ["F8", "keys.accept"],
  ["F9", "keys.decline"],
  ["Alt ↓ ↑", "keys.move"],
  ["Ctrl ↵", "keys.send"],
];

export function Language({ desk, state }) {
  return html`<label class="inline-field"><span>${t("menu.language")}</span>
    <select value=${state.taste.language} onChange=${(e) => desk.prefer("language", e.target.value)}>
      ${Object.entries(LANGUAGES).map(([code, { name }]) => html`<option value=${code} lang=${code}>${name}</option>`)}
    </select>
  </label>`;
}

export function Look({ desk, state }) {
  return html`<label class="inline-field"><span>${t("menu.look")}</span>
    <select value=${state.taste.look} onChange=${(e) => desk.prefer("look", e.target.value)}>
      ${["auto", "light", "dark"].map((look) => html`<option value=${look}>${t(`menu.look.${look}`)}</option>`)}
    </select>
  </label>`;
}

function Notify() {
  const [may, set] = useState("Notification" in window ? Notification.permission : "denied");
  if (may === "granted") return html`<p class="quiet">${t("menu.notify.on")}</p>`;
  if (may === "denied") return html`<p class="quiet">${t("menu.notify.no")}</p>`;
  const ask = async () => set(await Notification.requestPermission());
  return html`<button type="button" class="button plain" onClick=${ask}><span>${t("menu.notify.ask")}</span></button>`;
}

/** A panel under a button; Escape and a click elsewhere close it. */
export function Popover({ label, button, children }) {
  const [open, setOpen] = useState(false);
  const box = useRef(null);
  const close = () => {
    setOpen(false);
    box.current?.querySelector("button")?.focus(); // what was chosen in it is gone with it
  };
  useEffect(() => {
    if (!open) return undefined;
    const elsewhere = (event) => box.current && !box.current.contains(event.target) && setOpen(false);
    const escape = (event) => event.key === "Escape" && close();
    addEventListener("pointerdown", elsewhere);
    addEventListener("keydown", escape);
    return () => {
      removeEventListener("pointerdown", elsewhere);
      removeEventListener("keydown", escape);
    };
  }, [open]);
  return html`<div class="popover" ref=${box}>
    ${button({ "aria-expanded": String(open), "aria-haspopup": "dialog", onClick: () => setOpen(!open) })}
    ${open && html`<div class="popover-panel" role="dialog" aria-label=${label}>${children(close)}</div>`}
  </div>`;
}

export function Menu({ desk, state }) {
  const out = (close) => {
    close();
    if (Object.keys(state.view.interactions).length) desk.dialog({ kind: "signout" });
    else desk.signOut();
  };
  const button = (more) => html`<${IconButton} icon="gear" label=${t("menu")} ...${more} />`;
  return html`<${Popover} label=${t("menu")} button=${button}>${(close) => html`<div class="menu">
      <p class="menu-name"><strong>${state.me.shown}</strong><span class="quiet">${state.me.name}</span></p>
      <${Language} desk=${desk} state=${state} />
      <${Look} desk=${desk} state=${state} />
      <label class="inline-field"><span>${t("menu.sound")}</span>
        <input type="checkbox" checked=${state.taste.sound} onChange=${(e) => desk.prefer("sound", e.target.checked)} />
      </label>
      <${Notify} />
      <h2 class="label">${t("menu.keys")}</h2>
      <dl class="keys">${KEYS.map(([key, what]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${t(what)}</dd></div>`)}</dl>
      <button type="button" class="button plain wide" onClick=${() => out(close)}><span>${t("menu.signout")}</span></button>
    </div>`}
  <//>`;
}
