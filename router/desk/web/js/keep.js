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

// `kind` is what is being written: say, files, note, between (in a consult), closing, card. All of it stands here as well,
// for browsers that keep nothing; whoever shows a draft follows `draft-changed`, because others write it, too.
const begun = new Map(); // key -> value

function names() {
  try {
    return Object.keys(here());
  } catch {
    return [];
  }
}

function remove(unwanted) {
  for (const key of new Set([...names(), ...begun.keys()])) {
    const [word, id] = key.split(" ");
    if (word !== "draft" || !unwanted(id)) continue;
    begun.delete(key);
    write(here, key, null);
  }
}

export const drafts = {
  get(id, kind) {
    const key = `draft ${id} ${kind}`;
    return begun.get(key) ?? read(here, key, null);
  },
  set(id, kind, value) {
    const key = `draft ${id} ${kind}`;
    if (value === null || value === "") begun.delete(key);
    else begun.set(key, value);
    write(here, key, value);
    dispatchEvent(new CustomEvent("draft-changed", { detail: id }));
  },
  /** Of interactions that are no longer this agent's. */
  prune: (known) => remove((id) => !(id in known)),
  /** Of one that is over for good. */
  drop: (id) => remove((one) => one === id),
  clear: () => remove(() => true),
};

export const taste = {
  get: (name, fallback) => read(always, `desk ${name}`, fallback),
  set: (name, value) => write(always, `desk ${name}`, value),
};
