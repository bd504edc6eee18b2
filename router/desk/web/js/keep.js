// What outlives a reload. In this window: who is signed in, what is half written, what was asked and not yet answered.
// On this machine: choices of taste. A browser that keeps nothing (full, forbidden) only forgets sooner.

function read(storage, key, fallback) {
  try {
    return JSON.parse(storage().getItem(key)) ?? fallback;
  } catch {
    return fallback;
  }
}

function write(storage, key, value) {
  try {
    if (value === null || value === "") storage().removeItem(key);
    else storage().setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

const here = () => sessionStorage;
const always = () => localStorage;

export const session = {
  load: () => read(here, "session", null),
  save: (found) => write(here, "session", found),
};

export const commands = {
  load: () => read(here, "commands", []),
  save: (list) => write(here, "commands", list.length ? list : null),
};

// `kind` is what is being written: say, note, between (in a consult), closing.
export const drafts = {
  get: (id, kind) => read(here, `draft ${id} ${kind}`, null),
  set: (id, kind, value) => write(here, `draft ${id} ${kind}`, value),
  /** Of interactions that are no longer this agent's. */
  prune(known) {
    for (const key of Object.keys(here())) {
      const [word, id] = key.split(" ");
      if (word === "draft" && !(id in known)) here().removeItem(key);
    }
  },
  /** Of one that is over for good. */
  drop(id) {
    for (const key of Object.keys(here())) if (key.startsWith(`draft ${id} `)) here().removeItem(key);
  },
  clear() {
    for (const key of Object.keys(here())) if (key.startsWith("draft ")) here().removeItem(key);
  },
};

export const taste = {
  get: (name, fallback) => read(always, `desk ${name}`, fallback),
  set: (name, value) => write(always, `desk ${name}`, value),
};
