"""The example, the schema and the page of the documentation say what the model says."""

import json
import re
from pathlib import Path

from msgspec import UNSET

from bridge.config.describe import effective, example, json_schema, toml
from bridge.config.keys import Key, keys
from bridge.config.load import load
from bridge.secret import MASK

DOCS = Path(__file__).parents[2] / "docs"


def test_the_example_is_a_configuration_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "example.toml"
    path.write_text(example())
    settings = load(path, {}, {}).settings
    assert settings.service.tracking_id.id == "G-XXXX"
    assert settings.service.report is True
    assert settings.bridge.report is UNSET


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
    for key in keys():
        assert key.meaning, key
        assert key.name == "bridge.cookie" or key.field in example(), key


def type_of(key: Key) -> str:
    """The type of a key in the words of the documentation."""
    if key.choices:
        return " or ".join(f"`{choice}`" for choice in key.choices)
    text = str(key.kind)
    names = {"bool": "true or false", "Secret": "secret", "tuple": "list", "le=31536000000": "ms", "65535": "port"}
    return next((word for part, word in names.items() if part in text), "number" if "[int" in text else "text")


def row_of(key: Key) -> str:
    """How a key's row in the documentation begins; more may be said after it."""
    name = re.sub(r".*(tracking_id\.)|.*\.", r"\1", key.name)
    shown = f"`{toml(key.default)}`" if isinstance(key.default, str | int | tuple) else ""
    variable = f"`{key.variable}`" if key.variable else ""
    return f"| `{name}` | {type_of(key)} | {shown} | {variable} | {key.meaning}"


def section_of(key: str) -> str:
    table = key.removesuffix("." + re.sub(r".*(tracking_id\.)|.*\.", r"\1", key))
    return f"[[{table[:-2]}]]" if table.endswith("[]") else f"[{table}]"


def test_every_key_is_documented_with_type_default_variable_and_meaning() -> None:
    page = (DOCS / "configuration.md").read_text()
    sections = {part.partition("`\n")[0]: part.splitlines() for part in page.split("\n## `")}
    missing = [
        (section_of(key.name), row_of(key))
        for key in keys()
        if not any(line.startswith(row_of(key)) for line in sections.get(section_of(key.name), ()))
    ]
    assert not missing, "\n".join(f"{section}: {row}" for section, row in missing)


def test_nothing_is_documented_that_is_no_key() -> None:
    page = (DOCS / "configuration.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| .* \| .* \| .* \|", page, re.MULTILINE)
    names = [re.sub(r".*(tracking_id\.)|.*\.", r"\1", key.name) for key in keys()]
    assert sorted(rows) == sorted(names)


def test_the_example_of_the_documentation_loads(tmp_path: Path) -> None:
    (text,) = re.findall(r"```toml\n(.*?)```", (DOCS / "configuration.md").read_text(), re.DOTALL)
    path = tmp_path / "config.toml"
    path.write_text(text)
    assert load(path, {}, {}).settings.bridge.destinations


def test_the_schema_knows_every_key() -> None:
    schema = json.loads(json_schema())
    known = {name for definition in schema["$defs"].values() for name in definition["properties"]}
    assert {key.field for key in keys()} <= known


def test_the_effective_values_show_their_origin_and_mask_secrets(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        '[services.service_mongoose_system_metrics]\ntracking_id.id = "G-AAAA"\ntracking_id.secret = "hush"\n'
    )
    rows = {row[0]: row for row in effective(load(path, {"MONGOOSEIM_BRIDGE_LOG_LEVEL": "debug"}, {}), None)}
    assert rows["services.service_mongoose_system_metrics.tracking_id.secret"][1] == MASK
    assert rows["services.service_mongoose_system_metrics.tracking_id.id"][2] == f"{path}:2"
    assert rows["bridge.log_level"][1:3] == ("debug", "environment MONGOOSEIM_BRIDGE_LOG_LEVEL")
    assert rows["bridge.nodes"][2] == "default"
    assert "hush" not in repr(rows)
