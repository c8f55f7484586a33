"""The configuration's shape: one frozen struct per section, every key with its default, unit and range.

``config_file.load`` reads it from YAML; unknown keys are errors. Values here are plain data: no clients, no clock.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gridbeacon.config_api import Api as Api
from gridbeacon.config_forecast import Forecast as Forecast
from gridbeacon.config_notify import Notify as Notify
from gridbeacon.config_notify import Webhook as Webhook
from gridbeacon.config_routing import Routing as Routing
from gridbeacon.config_section import Count, Port, Positive, Share
from gridbeacon.config_section import Section as Section
from gridbeacon.reasons import CalendarMode, Mode
from gridbeacon.vocabulary import Kind


class Broker(Section, frozen=True):
    """``bootstrap: embedded`` runs Apache Kafka as a child process; else ``host:port[,host:port]``."""

    bootstrap: str = "embedded"
    port: Port = 19092
    """Port of the embedded broker on 127.0.0.1 (its controller takes the next one)."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    username: str = ""
    password: str = ""
    ca_file: str = ""
    replication_factor: Count = 1
    heap_mb: Annotated[int, Meta(ge=128)] = 320


class Account(Section, frozen=True):
    """One user of the embedded ClickHouse. A reader can't change anything, nor reach files or other hosts."""

    name: str
    role: Literal["writer", "reader"] = "reader"
    password_hash: str = ""
    """As ``gridbeacon clickhouse hash-password`` prints it; empty = no password, for this machine alone."""
    max_secs: Positive = 60.0
    """The following limits are for each query of a reader."""
    max_read_rows: Count = 5_000_000_000
    max_result_rows: Count = 20_000_000
    max_result_mb: Count = 4000
    max_memory_mb: Count = 2000
    max_queries: Count = 16
    """So many of this user's queries run at once; more wait their turn. This one holds for writers too."""


class ClickHouse(Section, frozen=True):
    """``host: embedded`` runs chDB behind ClickHouse's own protocols as a child process; else a real server."""

    host: str = "embedded"
    port: Port = 19000
    http_port: Port = 19123
    """Port of the embedded server for HTTP; 0 = none."""
    database: str = "gridbeacon"
    username: str = "default"
    password: str = ""
    secure: bool = False
    ca_file: str = ""
    listen: str = "127.0.0.1"
    """Address at which the embedded server listens; any other than loopback needs TLS and passwords."""
    tls_cert_file: str = ""
    tls_key_file: str = ""
    """Certificate and key (PEM) of the embedded server; then both its ports speak TLS."""
    allow_plain: bool = False
    """Listen beyond loopback without TLS all the same: for a network that is private and guarded."""
    accounts: tuple[Account, ...] = ()
    """Users of the embedded server; none = default and writer (may do all), analyst and grafana (readers)."""
    cluster: str = ""
    """Name of a cluster (as in ``system.clusters``): the tables are then replicated and sharded over it."""


Days = Annotated[int, Meta(ge=0, le=36_500)]


class Keep(Section, frozen=True):
    """How long the tables keep their rows, in days of event time; 0 = for ever."""

    observations_days: Days = 0
    rollups_days: Days = 0
    """Of the quarters of an hour and days, which may outlive the observations."""
    grid_events_days: Days = 0
    alerts_days: Days = 0
    """Of alerts, their transitions, notices, deliveries and situations, by their last change."""
    forecasts_days: Days = 0
    dead_letters_days: Days = 0


class Registry(Section, frozen=True):
    """Files of sensors and cells (CSV or GeoJSON), relative to the configuration file."""

    sensors: tuple[str, ...] = ()
    cells: tuple[str, ...] = ()
    unknown_sensors: Literal["reject", "register"] = "reject"
    """``register`` takes an unknown sensor's attributes from its first record (which then must say ``grid_id``)."""
    unknown_cells: Literal["reject", "accept"] = "accept"


class CalendarFile(Section, frozen=True):
    """One file of windows: YAML, or iCalendar when its name ends with ``.ics``; relative to the configuration."""

    path: str
    mode: CalendarMode = CalendarMode.EXPECTED_LOAD
    """Mode of iCalendar events that name none."""
    factor: Annotated[float, Meta(gt=1, le=1000)] = 2.0
    """Threshold or expected load are multiplied by this for iCalendar events that name no factor."""


class Calendar(Section, frozen=True):
    """What is announced: days by country, and windows from files."""

    country: str = ""
    """Code (ISO 3166) of the country whose holidays and make-up workdays count; empty = weekends alone."""
    subdivision: str = ""
    overlay: str = ""
    """File of days (YAML or CSV) that wins over the country's."""
    files: tuple[CalendarFile, ...] = ()


class Grid(Section, frozen=True):
    """The coding of grid cells: prefixes of the code are its levels."""

    pattern: str = r"\d{15}"
    area_digits: Annotated[int, Meta(ge=1, le=64)] = 6
    street_digits: Annotated[int, Meta(ge=1, le=64)] = 9
    """Cells whose codes begin with the same so many digits are one street: what has no exact place is one there."""


class Topics(Section, frozen=True):
    """Names get ``prefix`` in front; partition counts are fixed for the life of a deployment."""

    prefix: str = ""
    source_partitions: Count = 4
    observations_partitions: Count = 4
    signals_partitions: Count = 2
    alerts_partitions: Count = 2
    retention_hours: Positive = 168.0


class Ingest(Section, frozen=True):
    """The edge: how much at a time, what is refused, when to stop."""

    batch_records: Count = 10_000
    """Records a batch takes at most."""
    linger_ms: Annotated[float, Meta(ge=0, le=1000)] = 20.0
    """A small batch waits this long for company before the next poll."""
    tick_secs: Positive = 1.0
    """An idle partition still hears the time this often (``clock: arrival``)."""
    max_record_bytes: Count = 1_000_000
    max_depth: Annotated[int, Meta(ge=4, le=200)] = 32
    max_objects: Count = 10_000
    """Objects of one array record."""
    max_age_secs: Positive = 86400.0
    """Older observations are rejected as ``too_late`` (``clock: arrival``)."""
    max_ahead_secs: Positive = 300.0
    """Later ones as ``from_the_future``."""
    fuse_share: Share = 0.9
    """When more than this share of the last ``fuse_records`` records was rejected, ingest stops."""
    fuse_records: Count = 5000
    max_dead_letter_bytes: Count = 100_000
    privacy_fields: tuple[str, ...] = ()
    """Names (or parts of names) of fields that carry identity, added to the built-in list."""


class Ladder(Section, frozen=True):
    """People per m² at which blue, yellow, orange, red begin; ascending."""

    blue: Positive
    yellow: Positive
    orange: Positive
    red: Positive


class Limits(Section, frozen=True):
    """The safety floor. Sources of the defaults: Seoul's crowd CCTV (3 / 4 / 5), Fruin 1993 (5.55 people/m²:
    dangerous forces), Still 2000 (flow peaks at 2 to 3 people/m²). To be signed off by the site's safety officer."""

    moving: Ladder = Ladder(blue=2.0, yellow=3.0, orange=4.0, red=5.0)
    stairs: Ladder = Ladder(blue=1.5, yellow=2.25, orange=3.0, red=3.75)
    standing: Ladder = Ladder(blue=2.0, yellow=3.5, orange=4.7, red=5.5)
    hysteresis_per_m2: Annotated[float, Meta(ge=0)] = 0.3
    for_secs: Annotated[float, Meta(ge=0)] = 60.0
    """A level must hold this long before it begins, and be below this long before it ends."""
    capacity_shares: tuple[float, float, float] = (0.8, 0.9, 1.0)
    """Shares of a place's capacity at which blue, yellow, orange begin."""
    flow_level_per_m_min: tuple[float, float] = (66.0, 82.0)
    """People per metre and minute at which yellow, orange begin on level ways."""
    flow_stairs_per_m_min: tuple[float, float] = (49.0, 66.0)
    inflow_minutes: Positive = 10.0
    """Net inflow is projected this far ahead."""


class Quality(Section, frozen=True):
    """When data itself is the finding."""

    quiet_intervals: Positive = 3.0
    """A series is ``gone_quiet`` after this many of its intervals, at least ``quiet_min_secs``."""
    quiet_min_secs: Positive = 60.0
    stuck_repeats: Annotated[int, Meta(ge=2, le=60000)] = 30
    """Equal non-zero values in a row; a run of zeros is stuck after ten times as many."""
    jump_from_per_m2: Positive = 2.0
    """A fall from at least this density to nothing within two intervals is impossible."""
    min_coverage: Share = 0.5
    min_confidence: Share = 0.5


Parameters = dict[str, bool | int | float | str]


class DetectorOf(Section, frozen=True):
    """Another detector for one metric of one kind of source."""

    kind: Kind
    metric: str
    detector: str
    parameters: Parameters = msgspec.field(default_factory=dict)


class Detect(Section, frozen=True):
    """The learned layer."""

    detector: str = "novelty_and_departure"
    """A name of ``detectors.DETECTORS``, or ``river.anomaly.`` and the name of a detector of river."""
    parameters: Parameters = msgspec.field(default_factory=dict)
    """What the detector takes, by name."""
    series: tuple[DetectorOf, ...] = ()
    """Metrics that another detector judges."""
    warm_up_days: Annotated[float, Meta(ge=0)] = 7.0
    """History of a series before the learned layer speaks of it; until then it says ``warming_up``."""
    checkpoint_secs: Positive = 5.0
    event_window_secs: Positive = 900.0
    event_grace_secs: Annotated[float, Meta(ge=0)] = 60.0
    area_digits: tuple[Count, ...] = (6, 9, 12)
    """Areas are the beginnings of grid codes of these lengths (county, street, community); none: no areas."""
    area_window_secs: Positive = 300.0
    """What the sensors of an area, or of a cell, see together is looked at in windows of so many seconds."""
    cell_trees: bool = True
    """Look at what the kinds of sources of a cell say together, where there are two or more."""
    urgent_codes: tuple[str, ...] = ("fire", "crush", "collapse", "stampede", "踩踏", "火灾", "坍塌")
    """A grid event of one of these ``service_code`` is a signal at once."""


class AlarmShare(Section, frozen=True):
    """A part of the alarm budget for a part of the city: cells by the beginning of their code, a kind, a metric."""

    share: Annotated[float, Meta(gt=0, le=1)]
    cells: str = ""
    kind: Literal["any", "crowd", "traffic", "events"] = "any"
    metric: str = ""


class AlarmBudget(Section, frozen=True):
    """How many alarms of the learned layer the whole city wants. Limits and urgent reports never wait for it."""

    per_week: Positive = 20.0
    shares: tuple[AlarmShare, ...] = ()
    """Parts that are set aside; the first one that fits a series is its own. What is left is for all others."""


class Situate(Section, frozen=True):
    """From signals to alerts."""

    clear_after_secs: Annotated[float, Meta(ge=0)] = 120.0
    """An alert clears when nothing stands behind it for this long."""
    event_hold_secs: Positive = 1800.0
    """A single urgent report stands behind an alert this long."""
    cooldown_secs: Annotated[float, Meta(ge=0)] = 1800.0
    """After an alert has cleared, its cells and their neighbours are watched more closely this long; 0 = not at all."""
    scan_recurrence_days: Positive = 30.0
    """A cluster of reports is told when chance brings one like it once in so many days at most, in each area."""
    min_notice_level: Literal["blue", "yellow", "orange", "red"] = "yellow"
    close_after_secs: Positive = 259_200.0
    """An alert that is over and that nobody has touched for so long is closed by the engine (three days)."""
    review_within_secs: Positive = 604_800.0
    """A closed alert can be reviewed and reopened for so long (a week)."""
    mode: Mode = Mode.LIVE
    checkpoint_secs: Positive = 2.0


class Store(Section, frozen=True):
    """The ClickHouse writer's batches: whichever limit comes first."""

    batch_rows: Count = 20_000
    linger_secs: Positive = 0.5
    """How long observations wait for company; alerts, transitions and deliveries wait a fifth of it."""


class Observability(Section, frozen=True):
    """Metrics and logs. When set, a role serves Prometheus metrics at ``metrics_port`` + its number."""

    metrics_port: Port = 0
    metrics_listen: str = "127.0.0.1"
    """Address to serve metrics at: they hold no identities, but they do tell how busy a city is."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"


class Config(Section, frozen=True):
    """``gridbeacon.yaml``. ``clock: arrival`` is live operation; ``event`` a replay, where time comes from tick
    records in the data. ``timezone`` is the city's civil time zone (IANA name): profiles follow it."""

    clock: Literal["arrival", "event"] = "arrival"
    timezone: str = "UTC"
    data_dir: str = "gridbeacon-data"
    broker: Broker = Broker()
    clickhouse: ClickHouse = ClickHouse()
    keep: Keep = Keep()
    registry: Registry = Registry()
    calendar: Calendar = Calendar()
    grid: Grid = Grid()
    topics: Topics = Topics()
    ingest: Ingest = Ingest()
    limits: Limits = Limits()
    quality: Quality = Quality()
    detect: Detect = Detect()
    alarm_budget: AlarmBudget = AlarmBudget()
    forecast: Forecast = Forecast()
    situate: Situate = Situate()
    routing: Routing = Routing()
    notify: Notify = Notify()
    store: Store = Store()
    api: Api = Api()
    observability: Observability = Observability()
