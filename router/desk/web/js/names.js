// People as colleagues call them: records name them by how they sign in. Names that are not known yet are asked for
// together, once each; until they are there, and where there is none, the sign-in name stands.

import { html, useEffect, useState } from "./html.js";

const SOME = 50; // asked for at once
const known = new Map(); // sign-in name -> name; "": there is none
const wanted = new Set();
const followers = new Set();
let learned = 0; // how often names have come
let api = null;

/** From now on as whoever signed in; null: nobody is, and what was known is forgotten. */
export function askAs(next) {
  api = next;
  wanted.clear();
  if (!next) known.clear();
}

/** As the journal names them, `supervisor:sue` or `sue`, without the role. */
export function plain(by) {
  return by.replace(/^\w+:/, "");
}

export function nameOf(id) {
  if (!id || known.has(id)) return known.get(id) || id;
  if (api) {
    if (!wanted.size) queueMicrotask(ask);
    wanted.add(id);
  }
  return id;
}

async function ask() {
  const asked = api;
  const some = [...wanted].slice(0, SOME);
  const who = new URLSearchParams(some.map((id) => ["who", id]));
  for (const id of some) {
    wanted.delete(id);
    known.set(id, ""); // asked once, whatever comes of it
  }
  if (wanted.size) queueMicrotask(ask);
  if (!asked || !some.length) return;
  const { names } = await asked.get(`/v1/desk/names?${who}`).catch(() => ({ names: {} }));
  if (asked === api) for (const [id, name] of Object.entries(names)) known.set(id, name);
  learned += 1;
  for (const follower of [...followers]) follower();
}

/** The name for what is said once and not drawn again: as soon as it is known, or that there is none. */
export async function toldName(id) {
  if (!known.has(id) && nameOf(id) === id && wanted.has(id)) {
    await new Promise((done) => {
      const follower = () => {
        followers.delete(follower);
        done();
      };
      followers.add(follower);
    });
  }
  return nameOf(id);
}

/** `nameOf`, for whoever is drawn again when more names are known. */
export function useNames() {
  const [, again] = useState(learned);
  useEffect(() => {
    const follower = () => again(learned);
    followers.add(follower);
    follower(); // a busy browser gets here long after it has drawn, and names may have come meanwhile
    return () => followers.delete(follower);
  }, []);
  return nameOf;
}

/** Somebody by name; how they sign in is there for who points at it. */
export function Person({ id }) {
  const name = useNames()(id);
  return html`<span class="name-of" dir="auto" title=${name === id ? undefined : id}>${name}</span>`;
}
