// Times and sizes for people. Pure.

export function clock(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const two = (n) => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

/** Short and stable: 40 s, 12 min, 3 h 5 min, 2 d 4 h. */
export function span(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${Math.floor(hours / 24)} d`;
}

const HOUR = { hour: "2-digit", minute: "2-digit" };
const DAY = { day: "numeric", month: "short", ...HOUR };
const DAY_OF_YEAR = { year: "numeric", ...DAY };

/** The hour today, day and hour before, and the year where it is not this one. */
export function moment(ms, language, nowMs) {
  const [then, today] = [new Date(ms), new Date(nowMs)];
  const shown = then.getFullYear() !== today.getFullYear() ? DAY_OF_YEAR : then.toDateString() !== today.toDateString() ? DAY : HOUR;
  return new Intl.DateTimeFormat(language, shown).format(then);
}

export function bytes(size) {
  if (size < 1024) return `${size} B`;
  if (size < 1048576) return `${Math.round(size / 1024)} kB`;
  return `${(size / 1048576).toFixed(1)} MB`;
}

/** Text in pieces: plain, or an address that may be opened. Only http and https, and never more than was written. */
export function pieces(text) {
  const found = [];
  let at = 0;
  for (const match of text.matchAll(/\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/gi)) {
    if (match.index > at) found.push({ text: text.slice(at, match.index) });
    found.push({ text: match[0], href: match[0] });
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push({ text: text.slice(at) });
  return found;
}

/** The new words of a mail, and what it quotes of earlier ones. */
export function unquoted(text) {
  const lines = text.split("\n");
  let end = lines.length;
  while (end > 0 && (/^\s*>/.test(lines[end - 1]) || !lines[end - 1].trim())) end -= 1;
  const quoted = lines.slice(end).some((line) => line.trim());
  if (!quoted) return { words: text, quoted: "" };
  return { words: lines.slice(0, end).join("\n"), quoted: lines.slice(end).join("\n").trim() };
}
