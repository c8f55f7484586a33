"""The registry's files: what is read, what is refused with its line, and that nothing else can come of any bytes."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridbeacon.config import Config
from gridbeacon.config import Registry as Files
from gridbeacon.errors import ConfigError
from gridbeacon.model import Cell, Sensor
from gridbeacon.registry import Registry
from gridbeacon.registry_file import load_registry
from gridbeacon.vocabulary import Kind, Surface

CELL = "310101001002003"
OTHER = "310101001002004"
SQUARE = [[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]


def load(folder: Path, body: str | bytes, name: str = "sensors.csv", *, cells: bool = False) -> Registry:
    (folder / name).write_bytes(body.encode() if isinstance(body, str) else body)
    files = Files(cells=(name,)) if cells else Files(sensors=(name,))
    return load_registry(Config(registry=files), folder)


def collection(*features: object) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features}, indent=1)


def feature(geometry: object = None, **properties: object) -> dict[str, object]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def test_sensors_of_a_csv_file(tmp_path):
    found = load(
        tmp_path,
        "\ufeffsensor_id,kind,grid_id,lat,long,area_m2,surface,interval_secs,owner\r\n"
        f'CAM-1,crowd,{CELL},31.2,121.4,50,stairs,,"a, ""b"" and\nc"\r\n'
        ",,,,,,,,\r\n\r\n"
        f" LOOP-1 ,traffic,{CELL}\r\n",
    )
    assert found.sensors == {
        "CAM-1": Sensor(
            sensor_id="CAM-1",
            kind=Kind.CROWD,
            grid_id=CELL,
            lat=31.2,
            long=121.4,
            area_m2=50,
            surface=Surface.STAIRS,
        ),
        "LOOP-1": Sensor(sensor_id="LOOP-1", kind=Kind.TRAFFIC, grid_id=CELL),
    }


def test_sensors_of_a_geojson_file(tmp_path):
    point = {"type": "Point", "coordinates": [121.4, 31.2, 4.0]}
    body = collection(
        feature(point, sensor_id="CAM-1", kind="crowd", grid_id=CELL, capacity=30, colour="red"),
        feature(point, sensor_id="CAM-2", kind="crowd", grid_id=CELL, lat=1, long=2),
    )
    found = load(tmp_path, "\ufeff" + body, "sensors.geojson")
    assert found.sensors["CAM-1"] == Sensor(
        sensor_id="CAM-1", kind=Kind.CROWD, grid_id=CELL, lat=31.2, long=121.4, capacity=30
    )
    assert (found.sensors["CAM-2"].lat, found.sensors["CAM-2"].long) == (1, 2)


def test_cells_of_a_csv_file(tmp_path):
    found = load(
        tmp_path,
        f"grid_id,name,population,neighbours\n{CELL},West,120, {OTHER} ;;{OTHER}\n",
        cells=True,
    )
    assert found.cells == {CELL: Cell(grid_id=CELL, name="West", population=120, neighbours=(OTHER, OTHER))}


def test_cells_of_a_geojson_file_contain_points(tmp_path):
    polygon = {"type": "Polygon", "coordinates": [SQUARE]}
    found = load(tmp_path, collection(feature(polygon, grid_id=CELL, neighbours=[OTHER])), "cells.json", cells=True)
    assert found.cell_at(1, 1) == CELL
    assert found.cell_at(3, 1) is None


def test_several_files_make_one_registry(tmp_path):
    (tmp_path / "a.csv").write_text(f"sensor_id,kind,grid_id\nA,crowd,{CELL}\n")
    (tmp_path / "b.json").write_text(collection(feature(sensor_id="B", kind="traffic", grid_id=CELL)))
    found = load_registry(Config(registry=Files(sensors=("a.csv", "b.json"))), tmp_path)
    assert sorted(found.sensors) == ["A", "B"]


def test_no_file_is_an_empty_registry(tmp_path):
    assert load_registry(Config(), tmp_path) == Registry()


HEAD = "sensor_id,kind,grid_id,lat,long,area_m2,interval_secs\n"
GOOD = f"A,crowd,{CELL},,,,\n"
CSV_MISTAKES = [
    ("empty", "", 1, "empty"),
    ("blank", "\n \n", 1, "empty"),
    ("missing-column", "sensor_id,kind\nA,crowd\n", 2, "grid_id"),
    ("missing-value", HEAD + GOOD + ",crowd\n", 3, "sensor_id"),
    ("after-blank-lines", HEAD + "\n\n" + f"A,boat,{CELL}\n", 4, "kind"),
    ("after-a-value-of-two-lines", f'sensor_id,kind,grid_id,note\nA,crowd,{CELL},"a\nb"\nB,boat,{CELL}\n', 4, "kind"),
    ("begins-with-two-lines", f'note,sensor_id,kind,grid_id\n"a\nb",B,boat,{CELL}\n', 2, "kind"),
    ("not-a-number", HEAD + f"A,crowd,{CELL},,,wide\n", 2, "area_m2"),
    ("zero-area", HEAD + f"A,crowd,{CELL},,,0\n", 2, "area_m2"),
    ("nan-area", HEAD + f"A,crowd,{CELL},,,nan\n", 2, "area_m2"),
    ("infinite-interval", HEAD + f"A,crowd,{CELL},,,,inf\n", 2, "interval_secs"),
    ("lat", HEAD + f"A,crowd,{CELL},91,0\n", 2, "lat"),
    ("nan-long", HEAD + f"A,crowd,{CELL},9,nan\n", 2, "long"),
    ("lat-alone", HEAD + f"A,crowd,{CELL},31.2\n", 2, "long"),
    ("grid", HEAD + "A,crowd,310101\n", 2, "grid.pattern"),
    ("twice", HEAD + GOOD + GOOD, 3, "occurs twice"),
    ("column-twice", "sensor_id,kind,kind\n", 1, "kind"),
    ("too-many-values", HEAD + "A,crowd,1,2,3,4,5,6\n", 2, "8 values for 7 columns"),
    ("open-quote", HEAD + GOOD + '"A,crowd\n', 3, "quotes"),
    ("quote-inside", HEAD + '"A"b,crowd\n', 2, "quotes"),
    ("zero-byte", HEAD + "A\0,crowd\n", 2, ""),
    ("long-id", HEAD + f"{'x' * 201},crowd,{CELL}\n", 2, "sensor_id"),
    ("control-character", HEAD + f'"A\tB",crowd,{CELL}\n', 2, "sensor_id"),
    ("semicolons", f"sensor_id;kind;grid_id\nA;crowd;{CELL}\n", 2, "sensor_id"),
]


@pytest.mark.parametrize(("body", "line", "word"), [pytest.param(*rest, id=name) for name, *rest in CSV_MISTAKES])
def test_a_mistake_in_a_csv_file_is_told_with_its_line(tmp_path, body, line, word):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, body)
    assert str(caught.value).startswith(f"{tmp_path / 'sensors.csv'}:{line}: ")
    assert word in str(caught.value)
    assert "\n" not in str(caught.value)


CELL_MISTAKES = [
    ("population", "grid_id,population\n" + f"{CELL},-1\n", 2, "population"),
    ("neighbour", "grid_id,neighbours\n" + f"{CELL},{OTHER};west\n", 2, "neighbour"),
    ("twice", f"grid_id\n{CELL}\n{CELL}\n", 3, "occurs twice"),
    ("pattern", "grid_id\nwest\n", 2, "grid.pattern"),
]


@pytest.mark.parametrize(("body", "line", "word"), [pytest.param(*rest, id=name) for name, *rest in CELL_MISTAKES])
def test_a_mistake_in_a_file_of_cells_is_told_with_its_line(tmp_path, body, line, word):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, body, "cells.csv", cells=True)
    assert str(caught.value).startswith(f"{tmp_path / 'cells.csv'}:{line}: ")
    assert word in str(caught.value)


GEOMETRIES = [
    ("text", "here"),
    ("no-type", {}),
    ("line", {"type": "LineString", "coordinates": SQUARE}),
    ("several-polygons", {"type": "MultiPolygon", "coordinates": [[SQUARE]]}),
    ("point-without", {"type": "Point"}),
    ("point-null", {"type": "Point", "coordinates": None}),
    ("point-object", {"type": "Point", "coordinates": {"lat": 1}}),
    ("point-of-one", {"type": "Point", "coordinates": [1]}),
    ("point-of-text", {"type": "Point", "coordinates": ["1", "b"]}),
    ("polygon-without-rings", {"type": "Polygon", "coordinates": []}),
    ("polygon-of-numbers", {"type": "Polygon", "coordinates": [1, 2]}),
    ("polygon-as-a-ring", {"type": "Polygon", "coordinates": SQUARE}),
    ("polygon-of-text", {"type": "Polygon", "coordinates": ["abc"]}),
    ("polygon-of-objects", {"type": "Polygon", "coordinates": [[{}]]}),
    ("polygon-of-pairs-of-text", {"type": "Polygon", "coordinates": [[["a", "b"]]]}),
    ("two-corners", {"type": "Polygon", "coordinates": [SQUARE[:2]]}),
    ("not-in-degrees", {"type": "Polygon", "coordinates": [[[5e5, 4e6], [6e5, 4e6], [6e5, 5e6]]]}),
]


@pytest.mark.parametrize("geometry", [pytest.param(geometry, id=name) for name, geometry in GEOMETRIES])
def test_a_mistake_in_a_geometry_is_told_with_its_line(tmp_path, geometry):
    good = {"type": "Feature", "geometry": None, "properties": {"grid_id": CELL}}
    lines = ['{"features": [', json.dumps(good) + ",", json.dumps(feature(geometry, grid_id=OTHER)) + "]}"]
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "\n".join(lines), "cells.geojson", cells=True)
    assert str(caught.value).startswith(f"{tmp_path / 'cells.geojson'}:3: ")


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("", ":1"),
        ('{"features": [\n{"properties": {}\n}, oops]}', ":3"),
        ("[]", ""),
        ("{}", ""),
        ('{"features": 5}', ""),
        ('{"features": [\n5]}', ":2"),
        ('{"features": [{"properties": {}},\n{"properties": null}]}', ":1"),
        ('{"features": [\n{"properties": {"grid_id": 310101001002003}}]}', ":2"),
        ("[" * 100_000, ""),
        ('{"features": ' + "[" * 100_000 + "]" * 100_000 + "}", ""),
    ],
    ids=[
        "empty",
        "syntax",
        "array",
        "no-features",
        "number",
        "feature",
        "properties",
        "code-as-number",
        "deep",
        "nested",
    ],
)
def test_what_is_no_collection_of_features_is_told(tmp_path, body, line):
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, body, "cells.geojson", cells=True)
    assert str(caught.value).startswith(f"{tmp_path / 'cells.geojson'}{line}")
    assert line or f"{tmp_path / 'cells.geojson'}:" not in str(caught.value)


@pytest.mark.parametrize("name", ["sensors.csv", "sensors.geojson"])
def test_what_is_no_readable_text_is_told(tmp_path, name):
    with pytest.raises(ConfigError, match="can't be read"):
        load_registry(Config(registry=Files(sensors=(name,))), tmp_path)
    (tmp_path / name).mkdir()
    with pytest.raises(ConfigError, match="can't be read"):
        load_registry(Config(registry=Files(sensors=(name,))), tmp_path)
    (tmp_path / name).rmdir()
    with pytest.raises(ConfigError, match=name):
        load(tmp_path, b"sensor_id\n\xff\xfe", name)


names = st.sampled_from(["sensor_id", "grid_id", "kind", "lat", "long", "neighbours", "polygon", "area_m2", "geometry"])
parts = st.sampled_from(
    [
        "sensor_id",
        "kind",
        "grid_id",
        "polygon",
        ",",
        "\n",
        '"',
        CELL,
        "crowd",
        "CAM",
        ";",
        " ",
        "\r",
        "1e999",
        "nan",
        "\0",
    ]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.sampled_from([CELL, "crowd", "Point"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
geometries = st.fixed_dictionaries(
    {"type": st.sampled_from(["Point", "Polygon", 1])}, optional={"coordinates": json_values | st.just([SQUARE])}
)
collections = st.fixed_dictionaries(
    {
        "features": json_values
        | st.lists(
            st.fixed_dictionaries(
                {"properties": st.just({"grid_id": CELL, "sensor_id": "A", "kind": "crowd"}) | json_values},
                optional={"geometry": geometries | json_values},
            ),
            max_size=2,
        )
    }
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | st.lists(parts, max_size=30).map(lambda found: "".join(found).encode())
    | collections.map(lambda found: json.dumps(found).encode()),
    st.sampled_from(["file.csv", "file.geojson"]),
    st.booleans(),
)
def test_any_bytes_are_a_registry_or_a_configuration_error(tmp_path, body, name, cells):
    try:
        found = load(tmp_path, body, name, cells=cells)
    except ConfigError as error:
        message = str(error)
    else:
        message = str(tmp_path / name)
        assert isinstance(found, Registry)
        found.cell_at(1.0, 1.0)
    assert message.startswith(str(tmp_path / name))
