"""The Common Alerting Protocol, CAP 1.2 of OASIS, as XML: for warning centres that take orange and red."""

import re
from datetime import datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from gridbeacon.config_notify import Webhook
from sinks.bodies.message import Message, Setting, utc
from sinks.bodies.words import finding_line, title

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
LANGUAGES = {"zh": "zh-CN", "en": "en-US"}
RESTRICTION = "For the authorities in charge of public safety"
# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def cap(message: Message, hook: Webhook, setting: Setting) -> bytes:
    """Return a CAP 1.2 message: ``identifier`` is the ``webhook-id``, ``references`` the earlier ones of the alert.

    ``sent`` is when the notice was decided (event time), so that a repeat is the same message.
    """
    data, words = message.data, message.data.cap
    alert = Element("alert", xmlns=NAMESPACE)
    _add(alert, "identifier", message.notice_id)
    _add(alert, "sender", setting.sender)
    _add(alert, "sent", utc(message.at_ms))
    _add(alert, "status", words.status)
    _add(alert, "msgType", words.msg_type if message.earlier else "Alert")
    _add(alert, "source", "Gridbeacon")
    _add(alert, "scope", words.scope)
    if words.scope == "Restricted":
        _add(alert, "restriction", RESTRICTION)
    if message.earlier:
        triples = [f"{setting.sender},{one.notice_id},{utc(one.at_ms)}" for one in message.earlier]
        _add(alert, "references", " ".join(triples))
    _add(alert, "incidents", data.alert_id)
    info = SubElement(alert, "info")
    _add(info, "language", LANGUAGES[hook.language])
    for category in words.category:
        _add(info, "category", category)
    _add(info, "event", data.kind.replace("_", " ") or data.rule)
    for response in words.response_type:
        _add(info, "responseType", response)
    _add(info, "urgency", words.urgency)
    _add(info, "severity", words.severity)
    _add(info, "certainty", words.certainty)
    if data.opened_at:
        _add(info, "onset", utc(_ms(data.opened_at)))
    _add(info, "senderName", setting.sender)
    _add(info, "headline", title(message, hook.language))
    lines = [finding_line(finding, hook.language) for finding in data.evidence]
    if hook.language == "en" or not lines:
        lines.insert(0, data.headline)
    _add(info, "description", "\n".join(dict.fromkeys(lines)))
    for name, value in (("level", message.level.word), ("reason", data.reason), ("sequence", str(data.sequence))):
        parameter = SubElement(info, "parameter")
        _add(parameter, "valueName", name)
        _add(parameter, "value", value)
    area = SubElement(info, "area")
    _add(area, "areaDesc", message.place)
    for cell in data.cells or (message.place,):
        geocode = SubElement(area, "geocode")
        _add(geocode, "valueName", "grid_id")
        _add(geocode, "value", cell)
    text: str = tostring(alert, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()


def _add(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = _NOT_XML.sub(" ", text)


def _ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)
