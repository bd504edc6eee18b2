// Now, on the server's clock. Only what shows a running time is drawn again each second, not the desk.

import { useEffect, useState } from "./html.js";

let ahead = 0;
const followers = new Set();
let timer = 0;

export function setServerTime(ms) {
  ahead = ms - Date.now();
}

export function now() {
  return Date.now() + ahead;
}

/** When the day began where this browser is. */
export function midnight() {
  return new Date(now()).setHours(0, 0, 0, 0);
}

function tick() {
  for (const follower of followers) follower();
}

function follow(follower) {
  followers.add(follower);
  if (!timer) timer = setInterval(tick, 500);
  return () => {
    followers.delete(follower);
    if (!followers.size) {
      clearInterval(timer);
      timer = 0;
    }
  };
}

/** The server's time, again about every second for as long as it is shown. */
export function useNow() {
  const [at, set] = useState(now());
  useEffect(() => follow(() => set(Math.floor(now() / 500) * 500)), []);
  return at;
}

/** Draw again when what `show` says has changed, not before: a wallboard has hundreds of running times. */
export function useRunning(show, ...about) {
  const [, set] = useState(show());
  useEffect(() => follow(() => set(show())), about);
  return show();
}
