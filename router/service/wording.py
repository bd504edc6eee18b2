"""Explanations in the reader's language: the one place that words them anew.

The engine says everything in English, with the code and the parameters that it was made of (`engine/sayings.py`). A
language is a catalogue with the same codes, the same parameters in each and the same joints; a test compares them.
Names of the house (queues, skills, reasons, agents) and durations stand as they are in every language.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

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
    "held": "se guarda para {names}: {why}",
    "held-until": "se guarda para {names} hasta las {until}: {why}",
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
    "took-by-hand": "{agent} la tomó por su cuenta",
    "gave": "{who} se la dio a {agent}",
    "gave-in-spite": "{who} se la dio a {agent} pese al requisito y a la capacidad",
    "was-given": "{agent} la recibió ({cause})",
    "an-operator": "un operador",
    "chosen-named": "{held}, y {agent} fue entre ellos la primera persona que podía atenderla",
    "chosen-only": "{agent} era la única persona que podía atenderla",
    "chosen-undisturbed": (
        "de {n} personas que podían atenderla, solo {agent} no tiene que dejar nada a un lado por ella"
    ),
    "chosen-at-first": "de {n} personas que podían atenderla, solo {agent} cumple lo que se pedía al principio",
    "chosen-best": "de {n} personas que podían atenderla, {agent} {best}",
    "chosen-of-equals": "{why}, y de {n} iguales llevaba más tiempo libre",
    "chosen-borrowed": "{why}; viene de {lender}, que presta agentes a {queue}",
    "best-longest-idle": "llevaba más tiempo libre",
    "best-best-level": "tiene el mejor nivel",
    "best-least-occupied": "fue quien menos ocupación tuvo últimamente",
    "best-least-flexible": "encaja en menos colas, y así las destrezas más escasas quedan libres",
    "best-fastest": "es de quien se espera que tarde menos",
    "best-slowest": "es de quien se espera que tarde más",
    "best-random": "salió por sorteo",
    "best-blend": "tiene más puntos",
    "behind-lost-tie": "{agent} igualaba, pero llevaba menos tiempo libre",
    "behind-named-later": "{agent} podía atenderla, pero se nombró antes a otra persona",
    "behind-would-interrupt": "{agent} podía atenderla dejando otro trabajo a un lado, y otra persona no lo necesita",
    "behind-outer": "{agent} solo cumple lo que se pide ya; otra persona cumplía lo que se pedía antes",
    "behind-not-drawn": "{agent} podía atenderla, pero en el sorteo salió otra persona",
    "behind-lower-score": "{agent} podía atenderla, pero {other} {best}",
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
    "reason-completed": "completada",
    "reason-customer-left": "el cliente se fue",
    "reason-abandoned": "el cliente dejó de esperar",
    "reason-closed": "la cerró un operador",
    "reason-unconfirmed": "su pasarela dejó de confirmarla",
    "reason-unheard": "no se supo nada de la llamada",
    "reason-called-off": "se canceló mientras se llamaba al cliente",
    "reason-transferred": "se transfirió",
    "reason-callback": "se llamará al cliente en su lugar",
    "reason-automatic": "la escribió un programa, y nadie tiene que contestar",
    "reason-busy": "la línea estaba ocupada",
    "reason-no-answer": "nadie contestó la llamada",
    "reason-failed": "la llamada falló",
    "reason-merged": "se unió a otra",
    "reason-cancelled": "se canceló",
    "reason-expired": "ya era tarde para ella",
    "reason-no-show": "se llamó al cliente y no vino",
    "reason-unservable": "nadie de quienes estaban conectados podía atenderla",
    "reason-relaxed": "lo dice un paso del plan de relajación",
    "reason-max-wait": "había esperado cuanto se puede esperar allí",
    "reason-out-of-hours": "su calendario estaba cerrado",
    "reason-closing": "su calendario cerró",
    "reason-emergency": "una emergencia había cerrado su calendario",
    "reason-nobody-there": "hacía demasiado que nadie que cumpla estaba conectado",
    "reason-queue-full": "su cola estaba llena",
    "reason-overflow": "allí habría tenido que esperar demasiado",
    "reason-nobody": "nadie contestó",
    "reason-over": "aquello de lo que trataba ha terminado",
    "reason-left": "la persona consultada la dejó",
    "reason-agent-lost": "su agente no volvió",
    "reason-agent-paused": "dejó de estar disponible",
    "reason-session-lost": "perdió la conexión",
    "reason-restart": "el servidor se reinició",
    "reason-taken": "la tomó otra persona",
    "reason-no-longer-fits": "ya no cumple el requisito",
    "reason-requeued": "se devolvió a la espera",
    "reason-rerouted": "pasó a otro lugar",
    "reason-assigned": "un operador se la dio a alguien",
    "reason-timeout": "se acabó el tiempo para ello",
    "reason-agent-gone": "ya no estaba ninguno de ellos",
    "reason-agent-refused": "la rechazaron",
    "reason-agent-busy": "estaban ocupados más tiempo",
    "reason-operator": "lo dijo un operador",
    "reason-after": "había llegado su momento",
    "reason-share": "se había gastado esa parte del objetivo",
    "reason-expected-wait": "se preveía una espera larga",
    "reason-nobody-signed-in": "nadie que cumpla había iniciado sesión",
    "reason-nobody-ready": "nadie que cumpla estaba disponible",
    "reason-last-agent": "fue quien atendió a este cliente la última vez",
    "reason-asked": "lo pidió quien la trajo",
    "operator": "operador {name}",
    "supervisor": "supervisor {name}",
    "way-by": "{what}, por {who}",
    "way-why": "{what} ({why})",
    "way-because": "{what}: {why}",
    "way-arrived": "llegó a la cola {queue}",
    "way-arrived-rule": "llegó a la cola {queue} por la regla {rule}",
    "way-from-to": "de la cola {queue} a {to}",
    "way-to": "a la cola {to}",
    "way-for": "{way}, para {what}",
    "way-rule-moved": "una regla la movió {way}",
    "way-transferred": "{who} la transfirió {way}",
    "way-was-transferred": "se transfirió {way}",
    "way-moved": "una regla de su cola la movió a la cola {queue}",
    "way-read": "se leyó más de ella: {what}",
    "way-rerouted": "con lo que se leyó de ella, llegó a la cola {queue}",
    "way-rerouted-rule": "con lo que se leyó de ella, llegó a la cola {queue} por la regla {rule}",
    "way-called": "{agent} llamó al cliente",
    "way-called-again": "{agent} llamó al cliente, llamada {n}",
    "way-back": "volvió a esperar",
    "way-back-from": "dejó de estar con {agent} y volvió a esperar",
    "way-lifted": "{what}, en la primera banda",
    "somebody": "alguien",
    "way-asked": "{agent} consultó a {who} y siguió a cargo",
    "way-asked-about": "{agent} consultó a {who} sobre {about} y siguió a cargo",
    "way-handed-lost": "{agent}, a quien se había consultado, la tiene, ya que {owner} no volvió",
    "way-handed": "{owner} la pasó a {agent}, a quien se había consultado",
    "way-given": "se le dio {parts}",
    "given-band": "la banda {band}",
    "given-weight": "el peso {weight}",
    "given-target": "el objetivo de {target} s",
    "way-ended": "terminó: {reason}",
    "way-ended-at": "terminó: se transfirió a {address}",
    "way-had": "{what}; la tenía {agent}",
    "way-declined": "{agent} la rechazó",
    "way-missed": "{agent} la dejó pasar",
    "way-not-connected": "no se pudo conectar a {agent} con el cliente",
    "way-answered": "{agent} contestó",
    "way-they-answered": "contestó la persona consultada",
    "way-consult-over": "la consulta terminó: {reason}",
    "way-kept": "quien llamaba colgó y conserva el sitio para la llamada {callback}",
    "way-attempt": "entró en espera como intento de la llamada {callback}",
    "way-raised": "subió a la primera banda, tras esperar cuanto permite la suya",
    "way-step": "dio el paso {step} del plan de relajación",
    "way-held": "se guardó para {names}: {why}",
    "way-released": "ya no se guardó solo para algunos: {reason}",
    "way-aside": "{agent} la dejó a un lado por {other}",
    "way-continued": "{agent} la retomó",
    "way-offered": "se ofreció a {agent}",
    "way-accepted": "{agent} la aceptó",
    "way-taken-back": "se retiró la oferta a {agent}: {reason}",
    "kin-merged": "{other} se unió a {customer}",
    "kin-split": "{other} se separó de {customer}",
    "call-kept": "se le llamará al {to} y conserva este sitio tras colgar",
    "call-now": "se está llamando a {agent} y a {to}, intento {n} de {most}",
    "call-waits": "conserva el sitio; se llama a {to} cuando un agente acepte, intento {n} de {most}",
    "call-rests": "se iba a llamar a {to}: queda en pausa mientras espera aquí, y sigue si no se le atiende",
    "call-rests-in": "{to} ha vuelto por su cuenta y espera en {other}: mientras tanto no se le llama",
    "call-goes-on": "se vuelve a llamar a {to} en {other}",
    "call-again": "se vuelve a llamar a {to} desde las {at} UTC, intento {n} de {most}",
    "consult-joined": "{owner} y {asked} hablan con el cliente; está a cargo de {owner}",
    "consult-answered": "{owner} consulta a {asked} y sigue a cargo",
    "consult-waits": "{owner} consulta sobre {about} y sigue a cargo; esto espera a que alguien conteste",
    "consult-asks": "{owner} la tiene, y consulta a {asked} sobre ella",
}

LANGUAGES: dict[str, Mapping[str, str]] = {"en": ENGLISH, "es": SPANISH}


def worded(told: Any, language: str) -> Any:
    """The same with every saying in it in that language; what is no saying stays what it is."""
    if isinstance(told, Saying):
        return _worded(told, LANGUAGES[language])
    if isinstance(told, dict):
        return {name: worded(value, language) for name, value in told.items()}
    if isinstance(told, (list, tuple)):
        return type(told)(worded(value, language) for value in told)
    if isinstance(told, Struct):
        return replace(told, **{name: worded(getattr(told, name), language) for name in told.__struct_fields__})
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
