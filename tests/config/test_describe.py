"""The example, the schema and the page of the documentation say what the model says."""

import json
from pathlib import Path

from bridge.config.describe import description, effective, example, json_schema
from bridge.config.load import keys, load
from bridge.secret import MASK

DOCS = Path(__file__).parents[2] / "docs"


def test_the_example_is_a_configuration_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "example.toml"
    path.write_text(example())
    assert load(path, {}, {}).settings.service.tracking_id.id == "G-XXXX"


def test_the_example_with_every_line_uncommented_loads_too(tmp_path: Path) -> None:
    lines = [
        line[2:] if line.startswith("# ") and ("=" in line or line[2] == "[") else line
        for line in example().splitlines()
    ]
    path = tmp_path / "example.toml"
    path.write_text("\n".join(lines))
    settings = load(path, {}, {}).settings
    assert settings.bridge.health.port == 9180
    assert len(settings.bridge.destinations) == 1


def test_every_key_has_a_description_and_stands_in_the_example() -> None:
    for key, kind, _ in keys():
        assert description(kind), key
        assert key == "bridge.cookie" or key.rpartition(".")[2] in example(), key


def test_every_key_is_documented() -> None:
    page = (DOCS / "configuration.md").read_text()
    missing = [key for key, _, _ in keys() if f"`{key.rpartition('.')[2]}`" not in page]
    assert not missing


def test_the_schema_knows_every_key() -> None:
    schema = json.loads(json_schema())
    known = {name for definition in schema["$defs"].values() for name in definition["properties"]}
    assert {key.rpartition(".")[2] for key, _, _ in keys()} <= known


def test_the_effective_values_show_their_origin_and_mask_secrets(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        '[services.service_mongoose_system_metrics]\ntracking_id.id = "G-AAAA"\ntracking_id.secret = "hush"\n'
    )
    rows = {row[0]: row for row in effective(load(path, {"MONGOOSEIM_BRIDGE_LOG_LEVEL": "debug"}, {}))}
    assert rows["services.service_mongoose_system_metrics.tracking_id.secret"][1] == MASK
    assert rows["services.service_mongoose_system_metrics.tracking_id.id"][2] == f"{path}:2"
    assert rows["bridge.log_level"][1:3] == ('"debug"', "environment MONGOOSEIM_BRIDGE_LOG_LEVEL")
    assert rows["bridge.nodes"][2] == "default"
    assert "hush" not in repr(rows)
