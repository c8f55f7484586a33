"""Sentences that come to the board as text, from the log or from a part that failed, in the viewer's language.

The engine says them in English; here each stands once, with names for what is put into it. One that is not known here
is shown as it came. ``tests/unit/test_sentences.py`` finds every one that the code can say, and looks for it here.
"""

import re
from collections.abc import Callable
from functools import cache

from web.words import METRICS, N_, SAID

SENTENCES = (
    # An action that was refused (``gridbeacon/handling.py``, ``gridbeacon/alert_book.py``, ``gridbeacon/silences.py``).
    N_("it takes the role %(role)s"),
    N_("version %(seen)s was seen, %(now)s is how it stands; look again"),
    N_("it is %(state)s; legal is %(actions)s"),
    N_("its condition is %(condition)s; say why it is closed"),
    N_("a comment without words"),
    N_("say to whom"),
    N_("say which disposition"),
    N_("there is no such alert, or it was closed so long ago that it is no longer kept"),
    N_("to silence takes the role %(role)s"),
    N_("to end a silence takes the role %(role)s"),
    N_("there is no such silence, or it is over"),
    N_("a silence needs an owner"),
    N_("a silence needs a reason"),
    N_("a silence needs an end, after its beginning and after now"),
    # An action that could not be sent or was not answered.
    N_("this server takes no actions: it is not connected to the log"),
    N_(
        "the %(what)s is written, but no answer came within %(secs)s s; "
        "check that the role situate runs (gridbeacon status)"
    ),
    N_("action"),
    N_("silence"),
    N_("there is no such action; go back and load the page again"),
    N_("this page is too old for that; load it again, then do it once more"),
    # Who may come in.
    N_("a token is needed: send it as 'Authorization: Bearer TOKEN', or log in at /login"),
    N_("this token is not known; ask your administrator for a new one (gridbeacon api token)"),
    N_("your session is not known any more; log in again"),
    N_("your session has ended; log in again"),
    N_("your session has ended, or your token is no longer known; log in again"),
    N_("the token of %(name)s ended on %(day)s; ask your administrator for a new one"),
    N_("this is too often; come back in %(secs)s s"),
    N_("too many viewers are connected; try again, or raise api.max_streams"),
    N_("send no more than %(size)s kB at once"),
    # What was asked for.
    N_("there is no alert with this id; see the list of alerts"),
    N_("a series is named kind/source/metric, such as crowd/CAM-1/density_max_per_m2"),
    N_("this is no day; choose one as year-month-day"),
    N_("this day has not come yet; choose one that has happened; the last day is shown"),
    N_("there is nothing here; go to the board"),
    N_("this can't be done here; see the header Allow"),
    N_("something went wrong here; it is in the log of the role api"),
    # The database and the log.
    N_("this alert is older than the log, and %(why)s"),
    N_("its course is older than the log, and %(why)s"),
    N_("the database can't be reached"),
    N_("the database could not answer: %(why)s"),
    N_("%(who)s can't be reached; %(fix)s"),
    N_("start it with gridbeacon up and the same configuration"),
    N_("check clickhouse.host and clickhouse.port, or start it"),
    N_("check broker.bootstrap, or start it"),
    N_("%(who)s lacks our tables; run gridbeacon init (%(said)s)"),
    N_("%(who)s refuses user %(user)s; check clickhouse.username and clickhouse.password"),
    N_("%(who)s and the driver disagree: %(said)s"),
    N_("%(who)s answered %(error)s: %(said)s"),
    N_("ClickHouse at %(where)s"),
    N_("the Kafka broker at %(where)s"),
    N_("the certificate of %(who)s is not trusted; set broker.ca_file to its authority's PEM file"),
    N_("%(who)s refuses user %(user)s; check broker.username and broker.password"),
    N_("%(who)s does not offer %(mechanism)s; check broker.sasl_mechanism"),
    N_("%(who)s wants no user name and password there; check broker.security_protocol"),
    N_("%(who)s does not permit this to user %(user)s; extend the user's rights (%(said)s)"),
    N_("%(who)s has too few nodes for broker.replication_factor %(wanted)s; lower it"),
    N_("%(who)s accepts no such topic name (%(said)s); change topics.prefix"),
    N_("%(who)s lacks a topic (%(said)s); run gridbeacon init"),
    N_("%(who)s hangs up on %(protocol)s; check broker.security_protocol, unless it is just restarting"),
    # Findings that are not a value against a limit.
    N_("%(name)s: will pass %(what)s at about %(at)s (80 %%: %(begin)s-%(end)s)"),
    N_("%(name)s: may pass %(what)s at about %(at)s (%(share)s %%: %(begin)s-%(end)s)"),
    N_("later"),
    N_("%(value)s people/m²"),
    N_("%(value)s people"),
    N_("%(share)s %% of its capacity"),
    N_("%(value)s people per metre and minute"),
    N_("%(name)s: nothing heard for %(secs)s s (it reports every %(every)s s)"),
    N_("%(name)s: always %(value)s: the sensor seems stuck"),
    N_("%(name)s: fell to %(value)s people/m² at once, which a crowd can't"),
    N_("%(name)s: sees too little of its area"),
    N_("%(name)s: is not sure of its count"),
    N_("%(what)s reported by %(who)s, verified"),
    N_("%(what)s reported by %(who)s"),
    N_(
        "%(reports)s reports of %(what)s from %(cells)s cells near one another in %(hours)s h "
        "where %(usual)s are usual; most from %(places)s"
    ),
    N_(
        "cell %(cell)s: %(kind)s has been %(far)s usual deviations %(side)s what is expected for more than a day, "
        "and the profile is learning it: check that no sensor was moved"
    ),
    N_("above"),
    N_("below"),
    N_("cell %(cell)s: %(said)s usual deviations in the last quarter of an hour, which is odd together"),
    N_(
        "area %(place)s: %(metric)s of %(count)s sensors together is %(share)s %(side)s what is expected at this hour; "
        "most of it in %(places)s"
    ),
    # What a feedback has changed (``gridbeacon/feedback.py``).
    N_("nothing is changed by it"),
    N_("nothing learned stood behind this alert, so nothing is changed"),
    N_("feedback never moves a limit"),
    N_("%(series)s is not learned from %(begin)s to %(end)s"),
    N_("if it comes again, put it into the calendar: %(entry)s"),
    N_("the profile of %(series)s begins anew: it warms up for a day, hour by hour"),
    N_("told from now on: %(series)s up to %(times)s times the usual rate"),
    N_("%(series)s up to %(times)s times the usual rate"),
    N_("with this step, %(lost)s of the last 30 days' %(alarms)s alarms would not have been raised"),
    N_("with this step, %(more)s more alarms would have been raised in the last 30 days"),
    # The log.
    N_("the topics have not been made; run gridbeacon init, or gridbeacon up"),
    N_("the log has not been read yet"),
)
_PLACE = re.compile(r"%\((\w+)\)s")


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return what recognises each sentence, those that say most by themselves first."""
    found = []
    for sentence in SENTENCES:
        pieces = _PLACE.split(sentence)
        made = "".join(
            f"(?P<{piece}>.+)" if number % 2 else re.escape(piece.replace("%%", "%"))
            for number, piece in enumerate(pieces)
        )
        found.append((len(_PLACE.sub("", sentence)), re.compile(made, re.DOTALL), sentence))
    return tuple((pattern, sentence) for _, pattern, sentence in sorted(found, key=lambda one: -one[0]))


def known(text: str) -> tuple[str, dict[str, str]] | None:
    """Return which sentence a text is, and what was put into it; None for one that is not known.

    >>> known("it takes the role officer")
    ('it takes the role %(role)s', {'role': 'officer'})
    >>> known("the moon is full") is None
    True
    """
    for pattern, sentence in _patterns():
        match = pattern.fullmatch(text)
        if match:
            return sentence, match.groupdict()
    return None


def told(text: str, t: Callable[[str], str], comma: str = ", ") -> str | None:
    """Return a sentence as ``t`` says it, with sentences and words of the engine within it; None when not known."""
    found = known(text)
    if found is None:
        return None
    sentence, given = found
    return t(sentence) % {name: _inside(value, t, comma) for name, value in given.items()}


def _inside(value: str, t: Callable[[str], str], comma: str) -> str:
    words = [_word(word, t) for word in value.split(", ")]
    if all(words):
        return comma.join(filter(None, words))
    return told(value, t, comma) or value


def _word(value: str, t: Callable[[str], str]) -> str | None:
    source, metric = value.partition("/")[2].rpartition("/")[::2]
    if source and metric in METRICS:  # a series
        return f"{source} {t(METRICS[metric][0])}"
    return t(SAID[value]) if value in SAID else None
