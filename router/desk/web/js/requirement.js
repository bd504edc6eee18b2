// A requirement in words: the written form of docs/routing.md as one sentence part. Pure.

import { languageName, t } from "./words.js";

const SIGNS = { ">=": "≥", "<=": "≤", "==": "=", "!=": "≠" };

export function inWords(node, inside = false) {
  if (!node) return "";
  if (node.all) return joined(flat(node, "all"), t("and"), inside);
  if (node.any) return joined(flat(node, "any"), t("or"), inside);
  if (node.not) return `${t("not")} ${inWords(node.not, true)}`;
  if (node.language) return languageName(node.language);
  if (node.skill) return leveled(node);
  if (node.team) return node.team.join(` ${t("or")} `);
  if (node.agent) return node.agent.join(` ${t("or")} `);
  if (node.attribute) return `${node.attribute} ${(node.one_of || []).join(` ${t("or")} `)}`.trim();
  return "";
}

/** An "and" within an "and" is one of them. */
function flat(node, kind) {
  return node[kind].flatMap((inner) => (inner[kind] ? flat(inner, kind) : [inner]));
}

function leveled(node) {
  const sign = node.op || ">=";
  const level = node.level ?? 1;
  return sign === ">=" && level === 1 ? node.skill : `${node.skill} ${SIGNS[sign] || sign} ${level}`;
}

function joined(nodes, word, inside) {
  const parts = [...new Set(nodes.map((node) => inWords(node, true)).filter(Boolean))];
  const text = parts.join(` ${word} `);
  return inside && parts.length > 1 ? `(${text})` : text;
}

/** What of it is worth a chip: the languages that it names. */
export function languagesOf(node) {
  if (!node) return [];
  if (node.language) return [node.language];
  return [...new Set([...(node.all || []), ...(node.any || [])].flatMap(languagesOf))];
}
