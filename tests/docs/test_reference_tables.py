"""Does the reference say what the code has? Its tables against the models, and against the JSON schema."""

import re
from itertools import pairwise

import pytest
from reference_tables import REFERENCE, filled

from nmsim.config import RunConfig
from nmsim.trace.schema import SCHEMA


@pytest.mark.parametrize("page", ["config-keys.md", "trace.md"])
def test_the_tables_are_those_that_follow_from_the_code(page):
    text = (REFERENCE / page).read_text(encoding="utf-8")
    assert "<!-- begin: " in text
    assert filled(text) == text, "run: python tests/docs/reference_tables.py"


def _sections_of_the_page():
    text = (REFERENCE / "config-keys.md").read_text(encoding="utf-8")
    starts = [*re.finditer(r"^## (.*)$", text, re.MULTILINE)]
    for start, end in pairwise([*starts, None]):
        body = text[start.end() : end.start() if end else None]
        yield start[1].strip("`"), set(re.findall(r"^\| `(\w+)` \|", body, re.MULTILINE))


def test_every_key_of_the_json_schema_stands_in_the_section_where_it_belongs():
    # the schema is pydantic's own walk over the models, not the one that made the page
    schema = RunConfig.model_json_schema()
    page = dict(_sections_of_the_page())

    def reach(node, path):
        while "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
        for form in node.get("anyOf", ()):
            yield from reach(form, path)
        for below in [node.get("additionalProperties"), *node.get("patternProperties", {}).values()]:
            if isinstance(below, dict):
                yield from reach(below, f"{path}.NAME")
        if "properties" in node and "source" in node["properties"] and "value" not in node["properties"]:
            yield path, set(node["properties"]) - {"source"}
            for key, below in node["properties"].items():
                yield from reach(below, f"{path}.{key}" if path else key)

    found = {path or "The top level": keys for path, keys in reach(schema, "")}
    assert len(found) > 15 and found == page


def test_every_column_that_a_trace_is_written_with_has_its_type_on_the_page():
    text = (REFERENCE / "trace.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", text, re.MULTILINE))
    arrow = {"dictionary<values=string, indices=int16, ordered=0>": "text"}
    assert listed == {f.name: arrow.get(str(f.type), str(f.type)) for f in SCHEMA}
