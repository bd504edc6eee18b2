"""Explanations in the reader's language: the one place that words them anew.

The engine says everything in English, with the code and the parameters that it was made of (`engine/sayings.py`). A
language is a catalogue with the same codes, the same parameters in each and the same joints; a test compares them.
Names of the house (queues, skills, reasons, agents) and durations stand as they are in every language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router.engine.sayings import ENGLISH, JOINTS, Saying

HEADER_MAX = 200  # characters of Accept-Language that are read: a person's list is shorter

SPANISH = {
    "and": " y ",
    "or": " o ",
    "comma": ", ",
    "semicolon": "; ",
    "has-it": "{agent} la tiene",
    "had-it": "{agent} la tuvo",
    "over": "ha terminado: {reason}",
    "is-offered": "se le está ofreciendo a {agent} ahora mismo",
    "leaving": "{agent} ya no está en la configuración y solo termina el trabajo en curso",
    "signed-out": "{agent} no ha iniciado sesión",
    "unmet": "{agent} no cumple el requisito: {parts}",
    "going": "{agent} pasa a estar {state} tras el trabajo en curso",
    "going-because": "{agent} pasa a estar {state} tras el trabajo en curso ({reason})",
    "state-ready": "disponible",
    "state-not_ready": "no disponible",
    "not-ready": "{agent} no está disponible",
    "not-ready-because": "{agent} no está disponible ({reason})",
    "never-ready": "{agent} ha iniciado sesión pero todavía no está disponible",
    "it-is-held": "{held}",
    "pausing": "quienes podían atenderla la rechazaron {n} veces; se ofrece de nuevo en {wait}",
    "cool-off": "{agent} la dejó pasar o la rechazó; se intenta con otros durante {wait} más",
    "taken": "{agent} la tiene",
    "could-interrupt": "{agent} podría recibirla ahora, dejando otro trabajo a un lado",
    "could-get-it": "{agent} podría recibirla ahora",
    "room-held": "{why}; se le guarda un sitio durante {wait} más como máximo",
    "place-held": (
        "el sitio libre de {agent} se guarda para {wanted}, que necesita más sitio, durante {wait} más como máximo"
    ),
    "no-channel": "{agent} no atiende {channel}: su límite es 0",
    "channel-too-heavy": "{agent} no atiende {channel}: su peso de {weight} supera el presupuesto de {budget}",
    "nothing": "nada",
    "suspended": "{agent} tiene {held}, y {n} en suspenso, lo que va antes que nada nuevo",
    "cap": "{agent} tiene {held}; el límite de {channel} es {cap}",
    "exclusive": "{agent} tiene {held}, lo que no deja sitio para nada más",
    "exclusive-channel": "{agent} tiene {held}; {channel} necesita a alguien sin otro trabajo",
    "budget": "{agent} tiene {held}; un {channel} más superaría el presupuesto de {budget}",
    "none-of": "nada de: {parts}",
    "asks": "pide {what}",
    "asks-lacks": "pide {what}, no tiene {skill}",
    "asks-level": "pide {what}, tiene el nivel {level}",
    "skill": "{skill} {op} {level}",
    "language": "idioma {language}",
    "attribute": "{name} es {values}",
    "team": "equipo {names}",
    "agent": "agente {names}",
    "not": "no ({what})",
    "group": "({parts})",
    "nobody": "nadie",
    "anybody": "cualquiera",
    "held": "se guarda para {names} por {why}",
    "held-until": "se guarda para {names} hasta las {until} por {why}",
    "place-kept": "espera a que tenga sitio {agent}, que le guarda un lugar",
    "offered": "se ofrece a {names}",
    "owned": "{agent} la tiene",
    "documented": "{agent} la documenta",
    "owned-aside": "{agent} la tiene y la ha dejado a un lado: está en suspenso hasta que haya sitio para ella",
    "documented-aside": (
        "{agent} la documenta y la ha dejado a un lado: está en suspenso hasta que haya sitio para ella"
    ),
    "is-over": "ha terminado: {reason}",
    "why-one": "espera porque la única persona conectada que cumple el requisito {kept}",
    "why-all": "espera porque las {n} personas conectadas que cumplen el requisito {kept}",
    "why-some": "espera porque, de {n} personas conectadas que cumplen el requisito, {parts}",
    "why-one-seen": (
        "espera porque, entre los {seen} agentes examinados, la única persona conectada que cumple el requisito {kept}"
    ),
    "why-all-seen": (
        "espera porque, entre los {seen} agentes examinados, las {n} personas conectadas que cumplen el "
        "requisito {kept}"
    ),
    "why-some-seen": (
        "espera porque, entre los {seen} agentes examinados, de {n} personas conectadas que cumplen el "
        "requisito, {parts}"
    ),
    "why-not-lent": (
        "espera porque quienes están conectados y podrían atenderla son de otras colas, que ahora no prestan a nadie"
    ),
    "why-nobody": "espera porque nadie de quienes están conectados puede atenderla",
    "part": "{n} {kept}",
    "could-one": "podría recibirla ahora",
    "could-some": "podrían recibirla ahora",
    "room-one": "no tiene sitio",
    "room-some": "no tienen sitio",
    "place-one": "guarda un sitio libre para otra cosa",
    "place-some": "guardan sitios libres para otra cosa",
    "suspended-one": "debe retomar antes su trabajo en suspenso",
    "suspended-some": "deben retomar antes su trabajo en suspenso",
    "pausing-one": "la rechazó una y otra vez, y se le pregunta de nuevo tras una pausa",
    "pausing-some": "la rechazaron una y otra vez, y se les pregunta de nuevo tras una pausa",
    "cool-off-one": "la rechazó o la dejó pasar hace un momento",
    "cool-off-some": "la rechazaron o la dejaron pasar hace un momento",
    "not-ready-one": "no está disponible",
    "not-ready-some": "no están disponibles",
    "lease-over": "termina como no confirmada, salvo que su pasarela hable de ella antes",
    "band-raised": "se une a la primera banda, {band}, antes que todo lo menos urgente",
    "cap-reached": "nada de su banda que llegara después puede adelantarla ya",
    "if-expected": "si entonces se prevé que espere todavía más de {longest}, {then}",
    "hold-over": "espera a cualquiera que cumpla, en su lugar, y ya no solo a algunos",
    "cool-off-over": "se le puede ofrecer otra vez a {agent}",
    "overflow-checked": "se mira si debe esperar en {queues}",
    "lending-checked": "se mira si {lender} debe prestar agentes",
    "drain-over": "{agent} vuelve a atender otro trabajo, si para entonces no hay sitio para ella",
    "drain-over-other": "{agent} ya no guarda un sitio para {wanted}",
    "asked-back": "se pregunta al cliente si quiere que se le llame",
    "ends-uncallable": "termina, ya que no se puede llamar al cliente",
    "ends": "termina",
    "moves": "pasa a la cola {queue}, salvo que entonces esta no la admita",
    "longest": "nadie espera más de {longest} en la cola {queue}: {does}",
    "longest-passed": "nadie espera más de {longest} en la cola {queue}, y ya lo ha hecho; se intenta de nuevo: {does}",
    "if-nobody-came": "si para entonces nadie que sirva a la cola {queue} se ha conectado durante {grace}, {does}",
    "if-unservable": "si para entonces nadie de quienes están conectados puede atenderla, {does}",
    "policy-end": "termina ({reason})",
    "policy-move": "pasa a la cola {queue}",
    "policy-relax": "da pasos de su plan de relajación hasta que alguien cumpla",
    "policy-callback": "se ofrece al cliente llamarle",
    "emergency-over": "acaba la emergencia que cierra el calendario {calendar}",
    "opens": "abre el calendario {calendar}: desde entonces vuelve a contar su espera",
    "closes": "cierra el calendario {calendar}: {does}",
    "clock-stops": "si aún espera, no cuenta más tiempo como espera hasta que vuelva a abrir",
    "call-expires": "es demasiado tarde para llamar al cliente: la llamada prometida se da por terminada",
    "consult-over": "nadie ha contestado: se le dice a quien pregunta, y esto termina",
    "agent-returns": "{agent} vuelve a estar disponible tras haber dejado pasar ofertas",
    "wrap-up-over": "acaba el cierre de otro trabajo de {agent}, salvo que se prolongue",
    "step": "paso {last} de {all} del plan de relajación: desde entonces {does}",
    "steps": "pasos {first} a {last} de {all} del plan de relajación: desde entonces {does}",
    "step-band": "está en la banda {band}",
    "step-release": "no se guarda para nadie en concreto",
    "step-callback": "se ofrece llamar al cliente",
    "step-queue": "espera en la cola {queue}",
    "step-nothing": "espera como antes",
    "lends": "{lender} presta agentes a {queue}: de {queue}, {needed}; de {lender}, {spare}",
    "lends-nobody": "{lender} no presta a nadie: {spare}",
    "borrows-nobody": "{queue} no toma prestado a nadie de {lender}: {needed}",
    "lends-later": "{lender} no presta a nadie por ahora: se mira cada {pause}",
    "share-is": "quien más espera ha gastado {share} del objetivo",
    "share-must": "quien más espera ha gastado {share} del objetivo, debe ser {wanted}",
    "wait-is": "su espera prevista es {wait}",
    "wait-must": "su espera prevista es {wait}, debe ser {wanted}",
    "level-unknown": "se han atendido últimamente muy pocos contactos para conocer su nivel de servicio",
    "level-is": "su nivel de servicio es {level}",
    "level-must": "su nivel de servicio es {level}, debe ser {wanted}",
    "own-level-is": "su propio nivel de servicio es {level}",
    "own-level-must": "su propio nivel de servicio es {level}, debe ser {wanted}",
    "own-wait-unknown": "su propia espera prevista no se puede saber todavía",
    "own-wait-is": "su propia espera prevista es {wait}",
    "own-wait-must": "su propia espera prevista es {wait}, debe ser {wanted}",
    "more-than": "más de {what}",
    "less-than": "menos de {what}",
    "at-least": "al menos {what}",
    "endless": "sin fin, ya que nadie propio está disponible",
}

LANGUAGES: dict[str, Mapping[str, str]] = {"en": ENGLISH, "es": SPANISH}


def worded(told: Any, language: str) -> Any:
    """The same with every saying in it in that language; what is no saying stays what it is."""
    if isinstance(told, Saying):
        return _worded(told, LANGUAGES[language])
    if isinstance(told, dict):
        return {name: worded(value, language) for name, value in told.items()}
    if isinstance(told, (list, tuple)):
        return [worded(value, language) for value in told]
    return told


def _worded(saying: Saying, words: Mapping[str, str]) -> str:
    if saying.code in JOINTS:
        parts = saying.given["parts"]
        assert isinstance(parts, tuple)
        return words[saying.code].join(_filled(part, words) for part in parts)
    return words[saying.code].format_map({name: _filled(value, words) for name, value in saying.given.items()})


def _filled(value: object, words: Mapping[str, str]) -> str:
    return _worded(value, words) if isinstance(value, Saying) else str(value)


def preferred(header: str) -> str:
    """The language of ours that a reader wants most, by the header Accept-Language (RFC 9110, 12.5.4); else English."""
    wanted = []
    for place, part in enumerate(header[:HEADER_MAX].split(",")):
        tag, _, rest = part.partition(";")
        language = tag.strip()[:2].lower() if tag.strip()[2:3] in ("", "-") else ""
        weight = _weight(rest)
        if language in LANGUAGES and weight > 0:
            wanted.append((-weight, place, language))
    return min(wanted)[2] if wanted else "en"


def _weight(rest: str) -> float:
    """What follows the tag: `q=0.8`. Nothing: 1; what is no such number: 0."""
    name, _, digits = rest.replace(" ", "").partition("=")
    if not name:
        return 1.0
    plain = digits.replace(".", "", 1)
    return float(digits) if name in ("q", "Q") and plain.isascii() and plain.isdigit() else 0.0
