// Small drawings, each one line of a path on a grid of 20. They say nothing to a screen reader: what they stand beside does.

import { html } from "./html.js";

const PATHS = {
  phone: "M6 3.5l2.2 4-1.6 1.4c.9 2 2.5 3.6 4.5 4.5l1.4-1.6 4 2.2c0 1.7-1.4 2.8-3 2.5C8 15.6 4.4 12 3.5 6.5 3.2 4.9 4.3 3.5 6 3.5z",
  chat: "M4 4.5h12a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H9l-3.5 3v-3H4a1 1 0 0 1-1-1v-7a1 1 0 0 1 1-1z",
  email: "M3.5 5h13v10h-13zM3.5 5.5l6.5 5 6.5-5",
  fax: "M6 7V3h8v4M4 7h12a1 1 0 0 1 1 1v6h-3v3H6v-3H3V8a1 1 0 0 1 1-1zM6 12h8",
  mail: "M5 3h7l3 3v11H5zM12 3v3h3M7.5 9.5h5M7.5 12.5h5",
  walkin: "M10 9a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM4 17c.5-3.5 2.8-5.5 6-5.5s5.5 2 6 5.5",
  other: "M10 17a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM10 9v4M10 6.5v.1",
  back: "M12.5 4l-6 6 6 6",
  forth: "M7.5 4l6 6-6 6",
  down: "M5 7.5l5 5 5-5",
  gear: "M3 6h8m4 0h2M3 14h2m4 0h8M13 8a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7 16a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  clip: "M15.5 9.5l-5.8 5.8a3.3 3.3 0 0 1-4.7-4.7l6.3-6.3a2.2 2.2 0 0 1 3.1 3.1L8.3 13.5a1.1 1.1 0 0 1-1.5-1.5L12.2 6.5",
  file: "M5.5 3h6l3 3v11h-9zM11.5 3v3h3",
  close: "M5 5l10 10M15 5L5 15",
  again: "M16 8a6.5 6.5 0 1 0 .3 3.5M16.5 4v4h-4",
  check: "M4 10.5l4 4 8-9",
  move: "M3 7h12l-3.5-3.5M17 13H5l3.5 3.5",
  pause: "M7 5v10M13 5v10",
  play: "M7 4.5v11l8.5-5.5z",
  lock: "M5 9h10v8H5zM7 9V6.5a3 3 0 0 1 6 0V9",
  send: "M3.5 10L17 4l-4 13-3.5-5.5z",
  more: "M9 14a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM12.5 12.5L17 17M9 7v4M7 9h4",
  less: "M9 14a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM12.5 12.5L17 17M7 9h4",
  board: "M3 4h14v12H3zM3 8h14M9 8v8",
};

// What points along the line of reading turns with it.
const POINTING = new Set(["back", "forth", "send"]);

export function Icon({ name, size = 18 }) {
  return html`<svg class=${POINTING.has(name) ? "icon pointing" : "icon"} width=${size} height=${size} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
    <path d=${PATHS[name] || PATHS.other} />
  </svg>`;
}
