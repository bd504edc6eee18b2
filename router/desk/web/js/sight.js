// Of a long list only what is in sight is made: a wallboard of hundreds of rows costs what a screen of it costs. What is
// left out is a gap of the same height, so the list scrolls as if all were there; each row says its number among all, so
// a screen reader does, too; and whoever goes on by Tab brings the next rows into sight. Rows must be of one height.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "./html.js";

const SHORT = 60; // so few are drawn whole: what is in the document is found by the browser's own search, too
const BEYOND = 8; // rows made ahead of the scrolling, and the steps in which they are
const NARROW = "(max-width: 760px)"; // there rows are as high as their names ask for (desk.css)

/** From which row to which (without it) a list is in sight, with some beyond. Pure. */
export function inSight(count, row, top, room) {
  const step = (n, whole) => whole(n / row / BEYOND) * BEYOND;
  const from = Math.max(0, step(top, Math.floor) - BEYOND);
  return [Math.min(from, Math.max(0, count - BEYOND)), Math.min(count, step(top + room, Math.ceil) + BEYOND)];
}

/** The rows to be made: those in sight, and the one that has the focus wherever it is. Each with the gap before it. Pure. */
export function laidOut(rows, key, row, [from, to], focused) {
  const numbers = rows.slice(from, to).map((_, n) => from + n);
  const held = focused ? rows.findIndex((one) => one[key] === focused) : -1;
  if (held >= to) numbers.push(held);
  else if (held >= 0 && held < from) numbers.unshift(held);
  const drawn = numbers.map((number, n) => ({ one: rows[number], number, gap: (number - (n ? numbers[n - 1] + 1 : 0)) * row }));
  const last = numbers.length ? numbers[numbers.length - 1] + 1 : 0;
  return { drawn, rest: (rows.length - last) * row };
}

/** What of these rows is drawn into the element that has `ref` and scrolls. Each row's element says its name (`data-row`). */
export function useSight(rows, key, row) {
  const ref = useRef(null);
  const [sight, set] = useState([0, 4 * BEYOND]);
  const narrow = useMemo(() => window.matchMedia(NARROW), []);
  const whole = rows.length <= SHORT || narrow.matches;
  useEffect(() => {
    const box = ref.current;
    const seen = () => inSight(rows.length, row, box.scrollTop, box.clientHeight);
    const look = () => {
      const next = seen();
      set((now) => (now[0] === next[0] && now[1] === next[1] ? now : next));
    };
    const turned = () => set(seen());
    const watch = new ResizeObserver(look);
    watch.observe(box);
    box.addEventListener("scroll", look, { passive: true });
    narrow.addEventListener("change", turned);
    look();
    return () => {
      watch.disconnect();
      box.removeEventListener("scroll", look);
      narrow.removeEventListener("change", turned);
    };
  }, [rows.length, whole]);
  const active = ref.current?.contains(document.activeElement) ? document.activeElement : null;
  useLayoutEffect(() => {
    // A row that goes elsewhere in the order is taken out and put in again, which takes the focus from it.
    if (active && active !== document.activeElement && active.isConnected) active.focus({ preventScroll: true });
  });
  const range = whole ? [0, rows.length] : sight;
  return { ref, whole, ...laidOut(rows, key, row, range, active?.closest("[data-row]")?.dataset.row) };
}
