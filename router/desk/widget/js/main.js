// Begin: one chat, drawn into a shadow root of its own, where the page's styles do not reach.

import { Chat } from "./chat.js";
import { html, render } from "./html.js";
import { View } from "./view.js";
import { language, speak } from "./words.js";

/** `house`: what the server says of itself; `base`: where its files are; `options`: the data attributes of the tag. */
export async function begin(house, base, options) {
  speak(language(options.language, document.documentElement.lang, navigator.languages));
  const sheets = await Promise.all(["tokens.css", "widget.css"].map((name) => sheet(`${base}/${name}`)));
  const host = document.createElement("switchboard-chat");
  // The page's own rules would win over those of the root for the element itself, but for what is important.
  const root = host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = sheets;
  document.body.append(host);
  const chat = new Chat(house, base, options);
  const direction = options.dir || getComputedStyle(document.documentElement).direction;
  render(html`<${View} chat=${chat} look=${options.look || "auto"} direction=${direction} />`, root);
  return chat;
}

/** Constructed, not written into the page: a policy without inline styles allows it. */
async function sheet(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${url}: ${answer.status}`);
  const made = new CSSStyleSheet();
  made.replaceSync((await answer.text()).replaceAll(":root", ".chat"));
  return made;
}
