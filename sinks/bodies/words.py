"""What people read in a chat or a warning message, in Chinese and in English."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from gridbeacon.lifecycle import ENGINE
from gridbeacon.reasons import Level
from sinks.bodies.message import CLEARED, Finding, Member, Message

LEVELS: dict[str, dict[Level, str]] = {
    "zh": {
        Level.NONE: "无",
        Level.BLUE: "蓝色(IV级 一般)",
        Level.YELLOW: "黄色(III级 较重)",
        Level.ORANGE: "橙色(II级 严重)",
        Level.RED: "红色(I级 特别严重)",
    },
    "en": {level: level.word for level in Level},
}
TYPES: dict[str, dict[str, str]] = {
    "zh": {
        "alert.opened": "新告警",
        "alert.level_raised": "级别上升",
        "alert.unknown": "数据中断,情况不明(并非解除)",
        "alert.active": "数据恢复,情况仍在持续",
        "alert.cleared": "已解除",
        "alert.repeated": "仍在持续,尚未处置",
        "alert.escalated": "逾期未确认,升级上报",
        "alert.acknowledged": "已确认",
        "alert.case_filed": "已立案",
        "alert.dispatched": "已派遣",
        "alert.in_progress": "处置中",
        "alert.resolved": "已处置",
        "alert.verified": "已核查",
        "alert.closed": "已结案",
        "alert.reopened": "重新开启",
    },
    "en": {
        "alert.opened": "new alert",
        "alert.level_raised": "level raised",
        "alert.unknown": "no data any more: unknown, not all clear",
        "alert.active": "data are back, still active",
        "alert.cleared": "cleared",
        "alert.repeated": "still active, nobody has taken it",
        "alert.escalated": "escalated: not acknowledged in time",
        "alert.acknowledged": "acknowledged",
        "alert.resolved": "resolved",
        "alert.closed": "closed",
    },
}
HANDLING_ZH = {
    "new": "未确认",
    "acknowledged": "已确认",
    "case_filed": "已立案",
    "dispatched": "已派遣",
    "in_progress": "处置中",
    "resolved": "已处置",
    "verified": "已核查",
    "closed": "已结案",
    "reviewed": "已评价",
}
REASONS_ZH = {
    "density": "人群密度",
    "capacity": "人数占容量比例",
    "flow": "人流量(人/米·分钟)",
    "density_up_flow_down": "密度上升而人流下降",
    "inflow_projection": "按当前流入量预计的密度",
    "above_expected": "高于平时",
    "below_expected": "低于平时",
    "hour_of_week": "与每周同一时段不符",
    "hour_of_day": "与每日同一时段不符",
    "recent_level": "与近期水平不符",
    "change": "突变",
    "drift": "持续偏移",
    "record": "历史极值",
    "corroborated": "多源印证",
    "report_cluster": "相邻网格上报集中",
    "recurred": "再次发生",
    "split_off": "从其他情况分出",
    "merged": "并入较早的情况",
    "short_departure": "短时持续偏离",
    "long_departure": "长时持续偏离",
    "detector": "检测器判为异常",
    "gone_quiet": "数据中断",
    "stuck": "数值不变",
    "impossible_jump": "不可能的跳变",
    "low_coverage": "视野覆盖不足",
    "low_confidence": "计数可信度低",
    "urgent_report": "紧急上报",
    "report_count": "上报数量异常",
    "data_lost": "数据全部中断",
    "data_back": "数据恢复",
    "back_to_normal": "恢复正常",
    "level_lowered": "级别下降",
}
KINDS_ZH = {
    "crowding": "人群聚集",
    "counterflow": "人流对冲",
    "traffic_shock": "交通骤变",
    "incident_reports": "事件上报",
    "forecast": "预测将越限",
    "data_loss": "数据中断",
    "data_doubt": "数据可疑",
}
TRENDS_ZH = {"rising": "上升", "steady": "平稳", "falling": "下降"}
MODES = {
    "zh": {"replay": "【回放】", "exercise": "【演练】", "test": "【测试】"},
    "en": {"replay": "[REPLAY] ", "exercise": "[EXERCISE] ", "test": "[TEST] "},
}
LABELS = {
    "zh": ("网格", "级别", "趋势", "处置", "时间", "编号", "依据", "另有 {} 项", "同时"),
    "en": ("Cell", "Level", "Trend", "Handling", "Time", "Alert", "Evidence", "and {} more", "At the same time"),
}
FINDINGS_MAX = 5
"""A chat message is read on a phone: the worst few findings are enough to act on."""
TEXT_MAX_CHARS = 200

# Text that comes from outside must not become a link, a mention of everybody, or a tag.
_PLAIN = str.maketrans({"<": "＜", ">": "＞", "@": "＠", "*": "＊", "`": "＇", "[": "〔", "]": "〕", "\\": "＼"})


def plain(text: str) -> str:
    """Return text as one line in which no chat robot's markup is left, cut at ``TEXT_MAX_CHARS``.

    >>> plain("see [this](https://x.example) <at id=all></at> @all")
    'see 〔this〕(https://x.example) ＜at id=all＞＜/at＞ ＠all'
    """
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    short = " ".join(shown.split())
    return (short if len(short) <= TEXT_MAX_CHARS else short[: TEXT_MAX_CHARS - 1] + "…").translate(_PLAIN)


def marked(mode: str, text: str, language: str) -> str:
    """Return text with what is not live said in front of it: nobody is to run for a drill.

    >>> marked("exercise", "CAM-1: 5 people/m²", "en")
    '[EXERCISE] CAM-1: 5 people/m²'
    """
    return MODES[language].get(mode, "") + text


def title(message: Message, language: str) -> str:
    """Return one line: what happened, how serious, where."""
    data = message.data
    what = TYPES[language].get(message.type, message.type.removeprefix("alert.").replace("_", " "))
    level = LEVELS[language][message.level]
    place, kind = plain(message.place), plain(data.kind.replace("_", " "))
    if language == "zh":
        return marked(data.mode, f"{level}预警 {KINDS_ZH.get(data.kind, kind)} {what} 网格 {place}", language)
    return marked(data.mode, f"{level.capitalize()} alert: {kind or 'situation'}, {what}, cell {place}", language)


def finding_line(finding: Finding, language: str) -> str:
    """Return a finding as one line, with the value and what it is measured by."""
    if language == "en":
        return plain(finding.text or f"{finding.series}: {finding.reason}")
    source = finding.series.split("/")[1] if finding.series.count("/") else finding.series
    parts = [f"{source} {REASONS_ZH.get(finding.reason, finding.reason)}"]
    for word, value in (("实测", finding.value), ("限值", finding.threshold), ("平时", finding.expected)):
        if value is not None:
            parts.append(f"{word} {value:.4g}")
    return plain(",".join(parts))


def markdown(message: Message, language: str, timezone: str) -> list[str]:
    """Return the lines of a chat message below its title, in the markup that WeCom, DingTalk and Feishu share."""
    data = message.data
    cell, level, trend, handling, time, number, evidence, more, others = LABELS[language]
    before = LEVELS[language][Level[data.previous_level.upper()]]
    now = LEVELS[language][Level[data.level.upper()]]
    change = f"{before} → {now}" if data.previous_level not in ("none", data.level) else now
    state, way = data.handling_state.replace("_", " "), data.trend
    if language == "zh":
        state, way = HANDLING_ZH.get(data.handling_state, state), TRENDS_ZH.get(way, way)
    found = [f"- {finding_line(one, language)}" for one in data.evidence[:FINDINGS_MAX]]
    if (rest := data.evidence_count - len(found)) > 0:
        found.append(f"- {more.format(rest)}")
    group = [f"- {_member(one, language)}" for one in data.group[:FINDINGS_MAX]]
    if (rest := data.group_count - len(group)) > 0:
        group.append(f"- {more.format(rest)}")
    if data.actor not in ("", ENGINE):
        state += f" ({data.actor})" + (f": {data.note}" if data.note else "")
    lines = [] if language == "zh" and found else [plain(data.headline)]
    lines += [
        f"**{cell}** {plain(message.place)}" + (f" +{len(data.cells) - 1}" if len(data.cells) > 1 else ""),
        f"**{level}** {change}",
        *([f"**{trend}** {plain(way)}"] if way else []),
        f"**{handling}** {plain(state)}",
        f"**{time}** {civil(message.at_ms, timezone)}",
        f"**{number}** {data.alert_id} #{data.sequence}",
    ]
    lines += [f"**{evidence}**", *found] if found and message.type != CLEARED else []
    return lines + ([f"**{others}**", *group] if group else [])


def _member(member: Member, language: str) -> str:
    level = LEVELS[language][Level[member.level.upper()]]
    return plain(f"{level} {member.cell}" + (f": {member.headline}" if language == "en" else ""))


def civil(time_ms: int, timezone: str) -> str:
    """Return an instant as the city's clocks show it.

    >>> civil(1_672_484_640_000, "Asia/Shanghai")
    '2022-12-31 19:04:00 UTC+08:00'
    """
    there = datetime.fromtimestamp(time_ms / 1000, UTC).astimezone(ZoneInfo(timezone))
    offset = there.strftime("%z")
    return there.strftime("%Y-%m-%d %H:%M:%S UTC") + f"{offset[:3]}:{offset[3:5]}"
