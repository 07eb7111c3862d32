"""Every sentence a caller can read, in Spanish and in English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Language = Literal["es", "en"]
LANGUAGES: tuple[Language, ...] = get_args(Language)

#: key: (Spanish, English). Errors stand under their code, or `code.reason` where one code has several sentences;
#: the rules that a field can break stand under `field.`, and under `whole.` where the field's name is part of
#: the sentence. Commands add theirs (see `add_texts`): that of a success stands under the command's name, filled with
#: what the reply says under `data`, that of each step of its progress under `name.step`.
TEXTS: dict[str, tuple[str, str]] = {
    "body_required": ("Body JSON requerido.", "JSON body required."),
    "detail.utf16": ("es UTF-16; envíe UTF-8", "it is UTF-16; send UTF-8"),
    "detail.bom": (
        "empieza con una marca de orden de bytes (EF BB BF); envíe UTF-8 sin ella",
        "it begins with a byte order mark (EF BB BF); send UTF-8 without one",
    ),
    "detail.utf8": ("no es UTF-8 en el byte {place}", "it is not UTF-8 at byte {place}"),
    "detail.nul": ("tiene un byte NUL en el byte {place}", "it has a NUL byte at byte {place}"),
    "detail.json": (
        "no es JSON en la línea {line}, columna {column}",
        "it is not JSON at line {line}, column {column}",
    ),
    "detail.twice": ("tiene la clave '{text}' dos veces", "it has the key '{text}' twice"),
    "detail.constant": ("{text} no es JSON", "{text} is not JSON"),
    "detail.deep": ("tiene demasiados niveles", "it has too many levels"),
    "detail.number": ("un número es demasiado grande", "a number is too large"),
    "detail.list": ("es una lista, no un objeto", "it is a list, not an object"),
    "detail.text": ("es un texto, no un objeto", "it is a string, not an object"),
    "detail.truth": ("es true o false, no un objeto", "it is true or false, not an object"),
    "detail.null": ("es null, no un objeto", "it is null, not an object"),
    "detail.figure": ("es un número, no un objeto", "it is a number, not an object"),
    "missing_fields": ("{fields} son requeridos.", "{fields} are required."),
    "missing_fields.one": ("{fields} es requerido.", "{fields} is required."),
    "and": (" y ", " and "),
    "more_errors": ("y {count} más", "and {count} more"),
    "device_not_found": ("Dispositivo '{device}' no encontrado.", "Device '{device}' not found."),
    "user_exists": ("user_id '{user_id}' ya existe.", "user_id '{user_id}' already exists."),
    "user_not_found": ("Usuario '{user_id}' no encontrado.", "User '{user_id}' not found."),
    "request_id_reused": (
        "request_id '{request_id}' ya se usó con otro contenido.",
        "request_id '{request_id}' was already used with other content.",
    ),
    "retained_refused": (
        "Un comando retenido no se ejecuta: publíquelo sin la marca retain y borre el mensaje retenido.",
        "A retained command is not executed: publish it without the retain flag and clear the retained message.",
    ),
    "expired": (
        "La solicitud venció ({expires_at}) y no se ejecutó.",
        "The request expired ({expires_at}) and was not executed.",
    ),
    "payload_too_large": (
        "El mensaje tiene {size} bytes; el máximo es {limit}.",
        "The message has {size} bytes; the limit is {limit}.",
    ),
    "reply_too_large": (
        "La respuesta tiene {size} bytes, más de lo que el broker acepta; pida menos filas de una vez (limit).",
        "The reply has {size} bytes, more than the broker takes; ask for fewer rows at a time (limit).",
    ),
    "forbidden.administrators": (
        "Crear administradores (privilege 14) por MQTT no está permitido.",
        "Creating administrators (privilege 14) over MQTT is not allowed.",
    ),
    "forbidden.command": (
        "El comando '{command}' no está permitido para '{device}'.",
        "The command '{command}' is not allowed for '{device}'.",
    ),
    "forbidden.door": (
        "Abrir la puerta de '{device}' no está permitido (door.enabled).",
        "Opening the door of '{device}' is not allowed (door.enabled).",
    ),
    "forbidden.group": (
        "El comando '{command}' no se ejecuta sobre un grupo; envíelo a cada dispositivo de '{device}'.",
        "The command '{command}' is not carried out on a group; send it to each device of '{device}'.",
    ),
    "together": (
        "Hecho en todos los dispositivos del grupo '{device}' ({total}).",
        "Done on all devices of group '{device}' ({total}).",
    ),
    "partial": (
        "Hecho en {done} de {total} dispositivos del grupo '{device}'; vea results.",
        "Done on {done} of {total} devices of group '{device}'; see results.",
    ),
    "partial.waiting": (
        "Hecho en {done} de {total} dispositivos del grupo '{device}', {waiting} en espera; vea results.",
        "Done on {done} of {total} devices of group '{device}', {waiting} waiting; see results.",
    ),
    "all_failed": (
        "Ningún dispositivo del grupo '{device}' lo hizo; vea results.",
        "No device of group '{device}' did it; see results.",
    ),
    "all_failed.alike": (
        "Ningún dispositivo del grupo '{device}' lo hizo: {why}",
        "No device of group '{device}' did it: {why}",
    ),
    "waiting": (
        "{why}; se hará cuando '{device}' responda, hasta {until}.",
        "{why}; it will be done when '{device}' answers, until {until}.",
    ),
    # The REST service says these in English whatever the language, and its callers match on them.
    "device_timeout": ("Connection timeout to device {host}:{port}",) * 2,
    "device_unreachable.refused": ("Connection refused by device {host}:{port}",) * 2,
    "device_unreachable.reset": ("Connection reset by device {host}:{port}",) * 2,
    "device_unreachable.closed": ("Connection closed by device {host}:{port}",) * 2,
    "device_unreachable.garbled": ("Garbled answer from device {host}:{port}",) * 2,
    "device_unreachable.no_route": ("No route to device {host}:{port}",) * 2,
    "device_unreachable.unknown_host": ("Unknown host name of device {host}:{port}",) * 2,
    "device_unreachable.failed": ("Connection failed to device {host}:{port}: {detail}",) * 2,
    "device_auth_failed": (
        "El dispositivo {host}:{port} rechazó la clave de comunicación.",
        "Device {host}:{port} refused the communication key.",
    ),
    "device_rejected.answer": (
        "El dispositivo {host}:{port} rechazó la operación ({operation}, respuesta {answer}).",
        "Device {host}:{port} refused the operation ({operation}, answer {answer}).",
    ),
    "device_rejected.table": (
        "La tabla de usuarios del dispositivo {host}:{port} no se pudo leer: {detail}.",
        "The user table of device {host}:{port} could not be read: {detail}.",
    ),
    "device_rejected.log": (
        "El registro de asistencia del dispositivo {host}:{port} no se pudo leer: {detail}.",
        "The attendance log of device {host}:{port} could not be read: {detail}.",
    ),
    "device_rejected.templates": (
        "Las huellas del dispositivo {host}:{port} no se pudieron leer: {detail}.",
        "The fingerprints of device {host}:{port} could not be read: {detail}.",
    ),
    "device_rejected.too_much": (
        "El dispositivo {host}:{port} envió más de lo que un terminal puede enviar: {detail}.",
        "Device {host}:{port} sent more than a terminal can send: {detail}.",
    ),
    "device_rejected.not_kept": (
        "El dispositivo {host}:{port} aceptó el usuario pero no lo guardó.",
        "Device {host}:{port} accepted the user but did not keep it.",
    ),
    "device_rejected.not_deleted": (
        "El dispositivo {host}:{port} aceptó eliminar el usuario pero todavía lo tiene.",
        "Device {host}:{port} accepted to delete the user but still holds it.",
    ),
    "device_rejected.shared_uid": (
        "En la tabla del dispositivo {host}:{port} varios usuarios tienen el uid {uid}; no se cambia ninguno.",
        "In the table of device {host}:{port} several users have the uid {uid}; none of them is changed.",
    ),
    "device_rejected.several_records": (
        "El dispositivo {host}:{port} tiene {records} registros del usuario '{user_id}': eliminar y crear de nuevo.",
        "Device {host}:{port} holds {records} records of user '{user_id}': delete the user and create it again.",
    ),
    "device_rejected.not_changed": (
        "El dispositivo {host}:{port} aceptó el cambio pero no lo guardó.",
        "Device {host}:{port} accepted the change but did not keep it.",
    ),
    "device_rejected.log_not_cleared": (
        "El dispositivo {host}:{port} aceptó borrar su registro de asistencia pero todavía cuenta marcaciones.",
        "Device {host}:{port} accepted to clear its attendance log but still counts punches.",
    ),
    "device_rejected.finger_not_deleted": (
        "El dispositivo {host}:{port} aceptó borrar la huella pero todavía la tiene.",
        "Device {host}:{port} accepted to delete the fingerprint but still holds it.",
    ),
    "device_rejected.other_fingers": (
        "El dispositivo {host}:{port} podría borrar con el dedo 0 también los demás; no se borró ninguno.",
        "Device {host}:{port} might delete the other fingers together with finger 0; none was deleted.",
    ),
    "device_rejected.door_state": (
        "El dispositivo {host}:{port} no informa el estado de su puerta: {detail}.",
        "Device {host}:{port} does not report the state of its door: {detail}.",
    ),
    "outcome_unknown": (
        "No se sabe si el dispositivo lo ejecutó; no se repite.",
        "It is not known whether the device carried it out; the bridge does not repeat it.",
    ),
    "unsupported": (
        "El dispositivo {host}:{port} no admite esta operación ({operation}).",
        "Device {host}:{port} does not support this operation ({operation}).",
    ),
    "device_full": (
        "El dispositivo {host}:{port} no tiene lugar para un usuario más.",
        "Device {host}:{port} has no room for one more user.",
    ),
    "device_full.fingers": (
        "El dispositivo {host}:{port} no tiene lugar para una huella más.",
        "Device {host}:{port} has no room for one more fingerprint.",
    ),
    "busy.queue": (
        "Hay {waiting} solicitudes en espera para '{device}'; intente de nuevo en {retry_after_s} s.",
        "{waiting} requests are waiting for '{device}'; try again in {retry_after_s} s.",
    ),
    "busy.stopping": (
        "El puente se está deteniendo; intente de nuevo en {retry_after_s} s.",
        "The bridge is stopping; try again in {retry_after_s} s.",
    ),
    "clock_untrusted.door": (
        "El reloj del puente no está sincronizado y la puerta no se abre (door.trust_clock).",
        "The bridge's clock is not synchronised, and the door is not opened (door.trust_clock).",
    ),
    "clock_untrusted.validity": (
        "El reloj del puente no está sincronizado y valid_from y valid_until no se aceptan (validity.trust_clock).",
        "The bridge's clock is not synchronised; valid_from and valid_until are not accepted (validity.trust_clock).",
    ),
    "clock_untrusted.in_the_past": (
        "El reloj del puente marca {shown}, una fecha imposible, y el dispositivo no se pone a esa hora.",
        "The bridge's clock shows {shown}, an impossible date, and the terminal is not set to it.",
    ),
    "internal": ("Error interno ({error_id}).", "Internal error ({error_id})."),
    "field.language": ("debe ser es o en", "must be es or en"),
    "field.unknown": ("campo desconocido", "unknown field"),
    "field.unknown_like": ("campo desconocido; ¿quiso decir {like}?", "unknown field; did you mean {like}?"),
    "field.required": ("es requerido", "is required"),
    "field.text": ("debe ser texto o un número entero", "must be a string or an integer"),
    "field.text_or_number": ("debe ser texto o un número", "must be a string or a number"),
    "field.string": ("debe ser texto", "must be a string"),
    "field.empty": ("no puede estar vacío", "must not be empty"),
    "field.control": ("no puede tener caracteres de control", "must not contain control characters"),
    "field.unseen": (
        "tiene un carácter que no se ve o que un terminal no puede mostrar ({point}, posición {place})",
        "has a character that is invisible or that a terminal cannot show ({point}, position {place})",
    ),
    "field.keypad": (
        "solo puede tener cifras, como un teclado numérico (user_id_charset: any de este dispositivo admite más)",
        "may only have digits, as on a numeric keypad (user_id_charset: any of this device allows more)",
    ),
    "field.unprintable": ("solo puede tener caracteres imprimibles", "may only contain printable characters"),
    "field.too_many": ("admite como máximo {limit} caracteres", "at most {limit} characters"),
    "field.too_many_bytes": (
        "ocupa {size} bytes; el máximo es {limit}",
        "takes {size} bytes; the limit is {limit}",
    ),
    "field.privilege": (
        "debe ser 0 (usuario) o 14 (administrador)",
        "must be 0 (user) or 14 (administrator)",
    ),
    "field.card": ("debe ser un número entero de 0 a 4294967295", "must be an integer from 0 to 4294967295"),
    "field.any_of": ("indique al menos uno de {names}", "give at least one of {names}"),
    "field.before_since": ("no puede ser anterior a since", "must not be before since"),
    "field.count": (
        "debe ser un número entero de {least} a {most}",
        "must be an integer from {least} to {most}",
    ),
    "field.boolean": ("debe ser true o false", "must be true or false"),
    "field.finger_index": ("debe ser 0-9", "must be 0-9"),
    # The REST service has this sentence, and its callers match on it.
    "whole.finger_index": ("{field} debe ser 0-9.", "{field} must be 0-9."),
    "field.group_only": ("solo vale para un grupo de dispositivos", "is only for a group of devices"),
    "field.with_catch_up": ("es requerido con catch_up", "is required with catch_up"),
    "field.too_late": (
        "con catch_up no puede estar a más de {limit} segundos de ahora",
        "with catch_up must not be more than {limit} seconds from now",
    ),
    "field.local_time": (
        "debe ser una fecha, o fecha y hora, sin desfase horario, por ejemplo 2030-01-31 o 2030-01-31T08:00:00",
        "must be a date or date-time without an offset, for example 2030-01-31 or 2030-01-31T08:00:00",
    ),
    "field.local_moment": (
        "debe ser una fecha y hora de 2000 a 2099 sin desfase horario, por ejemplo 2030-01-31T08:00:00",
        "must be a date-time of 2000 to 2099 without an offset, for example 2030-01-31T08:00:00",
    ),
    "field.instant": (
        "debe ser una fecha ISO 8601 con desfase horario, por ejemplo 2030-01-31T08:00:00+00:00",
        "must be an ISO 8601 date with an offset, for example 2030-01-31T08:00:00+00:00",
    ),
    "field.bytes": (
        "ocupa {size} bytes en {encoding}; este terminal admite como máximo {limit} bytes",
        "takes {size} bytes in {encoding}; this terminal holds at most {limit} bytes",
    ),
    "field.encoding": (
        "tiene caracteres que no existen en {encoding}, la codificación de este terminal",
        "has characters that {encoding}, the encoding of this terminal, lacks",
    ),
    "field.number_id": (
        "debe ser un número decimal de 0 a 4294967295 en este terminal",
        "must be a decimal number from 0 to 4294967295 on this terminal",
    ),
    "field.leading_zero": (
        "no puede empezar con cero en este terminal: {text} se guardaría como {number}",
        "must not start with a zero on this terminal: {text} would become {number}",
    ),
}


def add_texts(texts: Mapping[str, tuple[str, str]]) -> None:
    """Add sentences of a command or of an error class that is declared elsewhere.

    Raises ValueError where another sentence stands under a key already.
    """
    for key, text in texts.items():
        if TEXTS.setdefault(key, text) != text:
            raise ValueError(f"two sentences for {key!r}: {TEXTS[key]} and {text}")


def say(key: str, language: Language, **facts: object) -> str:
    """The sentence under key, with its facts filled in."""
    spanish, english = TEXTS[key]
    return (english if language == "en" else spanish).format_map(facts)


def shown(text: str, limit: int | None = 64) -> str:
    r"""Make foreign text safe to show: all of it passes here on its way to a screen, log or sentence.

    Characters that show nothing (controls, line ends, direction marks, half surrogates) become their JSON escape,
    `\u001b`, and text over `limit` characters is cut, so that nothing in it controls the screen.
    """
    cut = text if limit is None or len(text) <= limit else f"{text[:limit]}…"
    return cut if cut.isprintable() else "".join(sign if sign.isprintable() else _escaped(sign) for sign in cut)


def _escaped(sign: str) -> str:
    """As JSON writes it: beyond 16 bits two escapes (RFC 8259, section 7)."""
    code = ord(sign)
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    return f"\\u{0xD800 + (code - 0x10000 >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
