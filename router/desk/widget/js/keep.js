// What outlives a reload. For all windows of this browser: the token, which is who the visitor is. In this window: what
// was sent and not confirmed, what is half written, whether the chat is open. A browser that keeps nothing forgets sooner.

const PREFIX = "switchboard-chat ";

function read(storage, key) {
  try {
    return JSON.parse(storage().getItem(PREFIX + key));
  } catch {
    return null;
  }
}

function write(storage, key, value) {
  try {
    if (value === null || value === "") storage().removeItem(PREFIX + key);
    else storage().setItem(PREFIX + key, JSON.stringify(value));
  } catch {
    // full or forbidden: nothing that could be done about it
  }
}

const here = () => sessionStorage;
const always = () => localStorage;

export const token = { load: () => read(always, "token"), save: (found) => write(always, "token", found) };
export const sending = { load: () => read(here, "sending") || [], save: (l) => write(here, "sending", l.length ? l : null) };
export const draft = { load: () => read(here, "draft") || "", save: (text) => write(here, "draft", text) };
export const shown = { load: () => read(here, "open") === true, save: (open) => write(here, "open", open || null) };

/** Another window has begun, or ended, a conversation. */
export function whenTokenChanges(listener) {
  addEventListener("storage", (event) => event.key === `${PREFIX}token` && listener(token.load()));
}
