"""The board in the viewer's language: catalogues of gettext, and the engine's words as people say them.

``N_`` marks a word for the catalogue that is translated later. The catalogues are ``web/locale``; ``scripts/words``
brings them up to date.
"""

from functools import cache
from importlib import resources

from babel.support import NullTranslations, Translations

LANGUAGES = {"en": "English", "zh": "中文"}


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for it
    """Return the text as it is: it is only marked."""
    return text


@cache
def words_of(language: str) -> NullTranslations:
    """Return the catalogue of a language; English is what is written in the source."""
    if language == "en":
        return NullTranslations()
    folder = resources.files("web") / "locale" / language / "LC_MESSAGES" / "gridbeacon.mo"
    with folder.open("rb") as file:
        return Translations(file)


def language_of(asked: str | None, accepted: str) -> str:
    """Return the language to use: the one that was chosen, else the first that the browser accepts, else English.

    >>> language_of(None, "zh-CN,zh;q=0.9,en;q=0.8"), language_of("en", "zh"), language_of(None, "fr")
    ('zh', 'en', 'en')
    """
    if asked in LANGUAGES:
        return asked
    for part in accepted[:200].split(","):
        name = part.partition(";")[0].strip().partition("-")[0].lower()
        if name in LANGUAGES:
            return name
    return "en"


#: What templates and charts say through ``Speech.t``, where the search for words does not look.
MARKED = (
    N_("now"),
    N_("since %s"),
    N_("+ %d cells"),
    N_("Nobody has taken it"),
    N_("Nobody has looked at it"),
    N_("Over"),
    N_("Connection lost %s s ago. What you see may be out of date."),
    N_("No news from the engine for %s s. What you see may be out of date."),
)

#: The engine's words (of ``gridbeacon/reasons.py`` and the life cycle) -> what a person reads.
SAID: dict[str, str] = {
    # levels
    "red": N_("Red"),
    "orange": N_("Orange"),
    "yellow": N_("Yellow"),
    "blue": N_("Blue"),
    "none": N_("No level"),
    # condition
    "active": N_("going on"),
    "cleared": N_("over"),
    "unknown": N_("data lost: not known"),
    # handling
    "new": N_("nobody has taken it"),
    "acknowledged": N_("acknowledged"),
    "case_filed": N_("case filed"),
    "dispatched": N_("people on the way"),
    "in_progress": N_("people at work there"),
    "resolved": N_("resolved"),
    "verified": N_("verified"),
    "closed": N_("closed"),
    "reviewed": N_("reviewed"),
    # certainty
    "Observed": N_("Observed"),
    "Likely": N_("Likely"),
    "Possible": N_("Possible"),
    "Unknown": N_("Not known"),
    # trend
    "rising": N_("rising"),
    "steady": N_("steady"),
    "falling": N_("falling"),
    # kinds of situations
    "crowding": N_("Crowding"),
    "counterflow": N_("Counterflow"),
    "traffic_shock": N_("Traffic shock"),
    "incident_reports": N_("Reports of people"),
    "forecast": N_("Forecast"),
    "data_loss": N_("Data lost"),
    "data_doubt": N_("Data in doubt"),
    # rules
    "safety": N_("Safety"),
    "data_health": N_("Data health"),
    # modes
    "live": N_("Live"),
    "replay": N_("Replay"),
    "exercise": N_("Exercise"),
    "test": N_("Test"),
    # actions
    "acknowledge": N_("Acknowledge"),
    "assign": N_("Assign"),
    "file_case": N_("File a case"),
    "dispatch": N_("Dispatch"),
    "start": N_("Work began"),
    "resolve": N_("Resolve"),
    "verify": N_("Verify"),
    "close": N_("Close"),
    "review": N_("Mark as reviewed"),
    "reopen": N_("Reopen"),
    "feedback": N_("Give feedback"),
    "comment": N_("Comment"),
    # what happened
    "opened": N_("Alert opened"),
    "level_raised": N_("Level raised"),
    "level_lowered": N_("Level lowered"),
    "data_lost": N_("Data lost"),
    "data_back": N_("Data back"),
    "merged": N_("Became part of another alert"),
    "assigned": N_("Assigned"),
    "started": N_("Work began"),
    "reopened": N_("Reopened"),
    "commented": N_("Comment"),
    "refused": N_("Refused"),
    "silenced": N_("Silenced"),
    "unsilenced": N_("Silence ended"),
    "escalated": N_("Escalated: nobody took it in time"),
    "repeated": N_("Told again: nobody took it in time"),
    # why
    "density": N_("density limit"),
    "capacity": N_("capacity limit"),
    "flow": N_("flow limit"),
    "density_up_flow_down": N_("denser while the flow falls"),
    "inflow_projection": N_("filling: next limit within minutes"),
    "above_expected": N_("above what is usual"),
    "below_expected": N_("below what is usual"),
    "gone_quiet": N_("sensor has gone quiet"),
    "stuck": N_("sensor repeats one value"),
    "impossible_jump": N_("value jumped impossibly"),
    "low_coverage": N_("camera sees too little"),
    "low_confidence": N_("count is not certain"),
    "urgent_report": N_("urgent report"),
    "report_count": N_("many reports"),
    "back_to_normal": N_("back to normal"),
    "hour_of_week": N_("unusual for the hour of the week"),
    "hour_of_day": N_("unusual for the hour"),
    "recent_level": N_("unusual for the last hours"),
    "change": N_("sudden change"),
    "drift": N_("slow drift"),
    "record": N_("never seen before"),
    "short_departure": N_("departs from what is usual"),
    "long_departure": N_("departs from what is usual for long"),
    "detector": N_("unusual"),
    "level_shift": N_("new level"),
    "joint_departure": N_("many places depart together"),
    "corroborated": N_("several sources agree"),
    "report_cluster": N_("reports cluster here"),
    "recurred": N_("came back"),
    "split_off": N_("split off from another alert"),
    "not_acknowledged": N_("nobody acknowledged in time"),
    "left_open": N_("left open too long"),
    "forecast_came_true": N_("the forecast came true"),
    "forecast_faded": N_("the forecast has faded"),
    "forecast_overdue": N_("what was foreseen did not come"),
    "forecast_lost": N_("no forecast any more"),
    "mute_over": N_("no longer muted"),
    "group_waited": N_("its group has waited"),
    # what the alarm budget said
    "told": N_("rare enough to be told"),
    "same_situation": N_("belongs to what was told"),
    "too_common": N_("too common to be told"),
    "too_weak_alone": N_("too weak alone"),
    # what forecasts say
    "forecast_watch": N_("forecast: may pass the limit"),
    "forecast_warning": N_("forecast: will pass the limit"),
    "cool_down": N_("an alert was over here not long ago"),
    # deliveries
    "superseded": N_("not sent: a later notice says it all"),
    "enabled": N_("gets notices again"),
    # holding back
    "grouped": N_("Waits to be told with others"),
    "released": N_("Told now: what held it back is over"),
    "delivered": N_("delivered"),
    "retry": N_("failed, tried again"),
    "permanent": N_("refused by the receiver"),
    "disabled": N_("the receiver has ended it"),
    "expired": N_("given up"),
    # why records were refused
    "not_json": N_("no JSON"),
    "not_an_object": N_("neither an object nor an array of objects"),
    "missing_field": N_("a field is missing"),
    "wrong_type": N_("a field has another type"),
    "not_finite": N_("a number that is none"),
    "out_of_range": N_("a value out of its range"),
    "unknown_source": N_("a sensor that the registry does not name"),
    "unknown_grid": N_("a cell that is not known"),
    "privacy": N_("carries identities"),
    "too_late": N_("came too late"),
    "from_the_future": N_("its time lies in the future"),
    "too_large": N_("too large"),
    "too_deep": N_("nested too deeply"),
    "wrong_topic": N_("sent to another topic"),
    "empty": N_("nothing in it"),
    "not_storable": N_("the database refused it"),
    # how the data do
    "observations_stored": N_("Observations stored"),
    "series": N_("Series"),
    "newest_observation": N_("Newest observation"),
    "dead_letters_last_hour": N_("Records refused in the last hour"),
    "notices_not_delivered": N_("Notices not delivered"),
    "webhooks_disabled": N_("Webhooks that are off"),
    # feedback
    "ANOMALY": N_("It was what it said"),
    "ANOMALY_EXPECTED": N_("Unusual, but announced"),
    "NOT_ANOMALY": N_("It was nothing: a false alarm"),
    "ANOMALY_NEW_TREND": N_("Real, and it will stay so"),
    "NO_FEEDBACK": N_("Nothing can be said"),
    # sensors and sources
    "crowd": N_("Cameras"),
    "traffic": N_("Traffic counters"),
    "events": N_("Reports"),
    "reporting": N_("reporting"),
    "late": N_("late"),
    "never": N_("silent"),
    # roles of people
    "viewer": N_("viewer"),
    "dispatcher": N_("dispatcher"),
    "officer": N_("officer"),
    "admin": N_("admin"),
}

#: Metrics -> what a person reads, and the unit.
METRICS: dict[str, tuple[str, str]] = {
    "people_count": (N_("people"), ""),
    "people_count_towards": (N_("people coming"), ""),
    "people_count_away": (N_("people leaving"), ""),
    "occupancy": (N_("occupancy"), ""),
    "average_crowd_speed_km_h": (N_("walking speed"), "km/h"),
    "congested": (N_("congested"), ""),
    "flow_per_m_min": (N_("flow"), N_("people per m and min")),
    "density_mean_per_m2": (N_("mean density"), N_("people/m²")),
    "density_max_per_m2": (N_("highest density"), N_("people/m²")),
    "intensity_per_h": (N_("vehicles"), N_("per hour")),
    "average_vehicle_speed_km_h": (N_("vehicle speed"), "km/h"),
    "report_count": (N_("reports"), N_("in 15 min")),
}
