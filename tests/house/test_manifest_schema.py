"""The JSON Schema of app manifests: in the documents as it is published, and of one mind with what is accepted."""

import json
import re
from pathlib import Path
from typing import Any

from gatewright.market.manifest import Manifest, ManifestAuth, ManifestScope, json_schema, parse, shape_faults
from tests.house.checkout import ROOT
from tools.manifest_schema import FILE

GUIDE = (ROOT / "docs" / "guides" / "publish-an-app.md").read_text()
REFERENCE = (ROOT / "docs" / "reference" / "app-manifest.md").read_text()


def test_the_documents_hold_the_schema_that_is_published() -> None:
    assert FILE.read_bytes() == json_schema()


def test_the_schema_has_every_key_that_is_accepted_and_no_other() -> None:
    parts = json.loads(json_schema())["$defs"]
    for kind in (Manifest, ManifestAuth, ManifestScope):
        assert set(parts[kind.__name__]["properties"]) == set(kind.__struct_encode_fields__)
        assert parts[kind.__name__]["additionalProperties"] is False


def test_every_key_is_told_by_the_reference() -> None:
    told = set(re.findall(r"^\| `([^`]+)` ", REFERENCE, re.MULTILINE))
    keys = {*Manifest.__struct_encode_fields__, *(f"auth.{name}" for name in ManifestAuth.__struct_encode_fields__)}
    assert keys | {"auth.scopes[].reason", "auth.scopes[].required"} <= told


def test_a_pattern_ends_where_the_text_ends() -> None:
    found = json.loads(json_schema())["$defs"]["Manifest"]["properties"]
    for pattern, text in ((found["version"]["pattern"], "1.0.0"), (found["icon"]["anyOf"][0]["pattern"], "data:image/png;base64,AA==")):
        assert re.search(pattern, text)
        assert not re.search(pattern, text + "\n")


def blocks(kind: str) -> list[Any]:
    return [json.loads(text) for text in re.findall(rf"^```{kind}\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)]


def test_the_manifest_of_the_guide_and_the_example_have_the_right_shape() -> None:
    assert shape_faults(blocks("json")[0]) == ()
    document = parse(Path(ROOT / "examples" / "apps" / "weekly-report.json").read_bytes())
    assert isinstance(document, dict)
    assert shape_faults({**document, "icon": "data:image/svg+xml;base64,PHN2Zy8+"}) == ()


def test_the_reply_of_the_guide_is_the_reply_that_is_given() -> None:
    from gatewright.oauth.mint import TokenReply

    assert set(blocks("json")[1]) < set(TokenReply.__struct_fields__)
