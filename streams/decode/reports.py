"""Grid events: one Open311 service request (or its FIWARE form) in key-values form -> GridEvent."""

from typing import Any

from gridbeacon.config import Config
from gridbeacon.model import GridEvent, Position
from gridbeacon.reasons import Rejection
from gridbeacon.registry import Registry, is_grid_code
from streams.decode.sensed import point_of
from streams.decode.wire import Refused, name_of, text_of, time_of

ENTITY_TYPE = "service_requests"
ROLES = ("grid_worker", "citizen_hotline", "citizen_app", "media", "superior", "sensor", "video")
LATEST_MS = 7_258_118_400_000
"""2200-01-01."""
VERIFICATIONS = ("unverified", "verified", "rejected", "duplicate")
#: Fields that a record may have without their being counted as unknown. ``media_url`` is known and never kept: what
#: it links to may show people.
KNOWN = frozenset(
    "id type @context service_request_id service_code service_name description requested_datetime updated_datetime "
    "expected_datetime address_string address_id address zipcode lat long media_url agency_responsible status "
    "status_notes grid_id category_major category_minor reporter_role verification urgency occurred_at reported_at "
    "location attributes service_notice".split()
)


def read_report(fields: dict[str, Any], position: Position, config: Config, registry: Registry) -> GridEvent:
    """Return the grid event that a record reports. Raises ``Refused`` with the reason when it can't be taken."""
    if fields.get("type") not in (None, ENTITY_TYPE, "ServiceRequest"):
        raise Refused(Rejection.WRONG_TOPIC, f"type must be {ENTITY_TYPE} on this topic")
    request_id = name_of(fields, "service_request_id") or name_of(fields, "id")
    code = name_of(fields, "service_code")
    for name, value in (("service_request_id", request_id), ("service_code", code)):
        if not value:
            raise Refused(Rejection.MISSING_FIELD, f"{name} is missing")
    reported = time_of(fields, "reported_at") or time_of(fields, "requested_datetime")
    occurred = time_of(fields, "occurred_at") or reported
    if occurred is None:
        raise Refused(Rejection.MISSING_FIELD, "requested_datetime (or occurred_at) is missing")
    lat, long = point_of(fields)
    grid_id = _cell(fields, lat, long, config, registry)
    cell = registry.cells.get(grid_id)
    return GridEvent(
        service_request_id=request_id,
        service_code=code,
        grid_id=grid_id,
        occurred_ms=occurred[1],
        reported_ms=(reported or occurred)[1],
        position=position,
        service_name=text_of(fields, "service_name"),
        description=text_of(fields, "description", 100_000),
        category_major=name_of(fields, "category_major"),
        category_minor=name_of(fields, "category_minor"),
        reporter_role=_one_of(fields, "reporter_role", ROLES),
        verification=_one_of(fields, "verification", VERIFICATIONS) or "unverified",
        urgency=name_of(fields, "urgency"),
        status=name_of(fields, "status"),
        agency_responsible=text_of(fields, "agency_responsible"),
        address_string=text_of(fields, "address_string"),
        lat=lat,
        long=long,
        updated_ms=_moment(fields, "updated_datetime"),
        expected_ms=_moment(fields, "expected_datetime"),
        near=() if cell is None else cell.neighbours,
    )


def _cell(fields: dict[str, Any], lat: float | None, long: float | None, config: Config, registry: Registry) -> str:
    grid_id = fields.get("grid_id")
    if grid_id is None and lat is not None and long is not None:
        grid_id = registry.cell_at(lat, long)
        if grid_id is None:
            raise Refused(Rejection.UNKNOWN_GRID, "no registered cell contains the point")
    if not is_grid_code(grid_id, config.grid.pattern):
        raise Refused(Rejection.UNKNOWN_GRID, "grid_id is missing or does not match grid.pattern")
    if config.registry.unknown_cells == "reject" and grid_id not in registry.cells:
        raise Refused(Rejection.UNKNOWN_GRID, f"{grid_id} is not in the registry of cells")
    return str(grid_id)


def _moment(fields: dict[str, Any], name: str) -> int | None:
    found = time_of(fields, name)
    if found is None:
        return None
    # "Never" as the year 1 or 9999 fits no table.
    if not 0 <= found[1] < LATEST_MS:
        raise Refused(Rejection.OUT_OF_RANGE, f"{name} must be in 1970..2199; leave it out when it is not known")
    return found[1]


def _one_of(fields: dict[str, Any], name: str, words: tuple[str, ...]) -> str:
    text = text_of(fields, name, 50)
    if text and text not in words:
        raise Refused(Rejection.OUT_OF_RANGE, f"{name} must be one of {', '.join(words)}")
    return text
