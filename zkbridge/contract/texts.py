"""Every sentence a caller can read, in Spanish and in English."""

from __future__ import annotations

from typing import Literal

Language = Literal["es", "en"]

#: key: (Spanish, English). Errors stand under their code, or `code.reason` where one code has several sentences;
#: the rules that a field can break stand under `field.`. A command that has a sentence for its success has it under
#: its name, filled with what its reply says under `data`.
TEXTS: dict[str, tuple[str, str]] = {
    "users/create": ("Usuario registrado.", "User registered."),
    "users/update": ("Usuario '{user_id}' actualizado.", "User '{user_id}' updated."),
    "users/delete": ("Usuario '{user_id}' eliminado.", "User '{user_id}' deleted."),
    "ping": ("Conexion exitosa con '{device_id}'.", "Connection to '{device_id}' successful."),
    "time/sync": ("[{device_id}] Hora sincronizada.", "[{device_id}] Time synchronized."),
    "door/unlock": ("Puerta abierta.", "Door opened."),
    "body_required": ("Body JSON requerido.", "JSON body required."),
    "missing_fields": ("{fields} son requeridos.", "{fields} are required."),
    "missing_fields.one": ("{fields} es requerido.", "{fields} is required."),
    "and": (" y ", " and "),
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
    "device_rejected.not_kept": (
        "El dispositivo {host}:{port} aceptó el usuario pero no lo guardó.",
        "Device {host}:{port} accepted the user but did not keep it.",
    ),
    "device_rejected.not_deleted": (
        "El dispositivo {host}:{port} aceptó eliminar el usuario pero todavía lo tiene.",
        "Device {host}:{port} accepted to delete the user but still holds it.",
    ),
    "device_rejected.not_changed": (
        "El dispositivo {host}:{port} aceptó el cambio pero no lo guardó.",
        "Device {host}:{port} accepted the change but did not keep it.",
    ),
    "outcome_unknown": (
        "No se sabe si el dispositivo lo ejecutó; no se repite.",
        "Whether the device did it is not known; it is not repeated.",
    ),
    "device_full": (
        "El dispositivo {host}:{port} no tiene lugar para un usuario más.",
        "Device {host}:{port} has no room for one more user.",
    ),
    "busy.queue": (
        "Hay {waiting} solicitudes en espera para '{device}'; intente de nuevo en {retry_after_s} s.",
        "{waiting} requests are waiting for '{device}'; try again in {retry_after_s} s.",
    ),
    "busy.stopping": (
        "El puente se está deteniendo; intente de nuevo en {retry_after_s} s.",
        "The bridge is stopping; try again in {retry_after_s} s.",
    ),
    "internal": ("Error interno ({error_id}).", "Internal error ({error_id})."),
    "field.unknown": ("campo desconocido", "unknown field"),
    "field.unknown_like": ("campo desconocido; ¿quiso decir {like}?", "unknown field; did you mean {like}?"),
    "field.required": ("es requerido", "is required"),
    "field.text": ("debe ser texto o un número entero", "must be a string or an integer"),
    "field.text_or_number": ("debe ser texto o un número", "must be a string or a number"),
    "field.string": ("debe ser texto", "must be a string"),
    "field.empty": ("no puede estar vacío", "must not be empty"),
    "field.control": ("no puede tener caracteres de control", "must not contain control characters"),
    "field.unprintable": ("solo puede tener caracteres imprimibles", "may only contain printable characters"),
    "field.too_many": ("admite como máximo {limit} caracteres", "at most {limit} characters"),
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


def say(key: str, language: Language, **facts: object) -> str:
    """The sentence under key, with its facts filled in."""
    spanish, english = TEXTS[key]
    return (english if language == "en" else spanish).format_map(facts)


def shown(text: str, limit: int = 64) -> str:
    """A stranger's text made fit for a sentence or a log line: printable, encodable and short."""
    safe = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text[: limit + 1])
    return safe if len(safe) <= limit else f"{safe[:limit]}…"
