"""Describes a dataset for machines, as Croissant metadata (MLCommons, 1.0).

The layers of a session become nested records, of which Croissant has one level. The archives of
captures are listed as files. Their content has no record set, because Croissant knows no format of
captures.
"""

import json
from typing import Any, Final

from seglab.dataset.columns import COLUMNS, Column, fields_of
from seglab.dataset.manifest import DatasetManifest
from seglab.dataset.splits import PARTS

CONFORMS_TO: Final = "http://mlcommons.org/croissant/1.0"

ROWS: Final = "rows"
"""The id of the set of Parquet files, to which the record set refers."""

SESSIONS: Final = "sessions"
"""The id of the record set, which has a record for each session."""

_TYPES = {"text": "sc:Text", "integer": "sc:Integer", "boolean": "sc:Boolean"}
_MEDIA_TYPES = {
    ".parquet": "application/x-parquet",
    ".zip": "application/zip",
    ".json": "application/json",
    ".md": "text/markdown",
}
_CONTEXT: Final = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(manifest: DatasetManifest) -> bytes:
    """Make the metadata of a dataset, as JSON-LD."""
    value: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": manifest.name,
        "alternateName": manifest.title,
        "description": manifest.description,
        "conformsTo": CONFORMS_TO,
        "license": _licence(manifest.licence),
        "datePublished": (manifest.finished or manifest.started)[:10],
        "version": "1.0.0",
        "inLanguage": "en",
        "isLiveDataset": False,
        "url": "./",
        "citeAs": f"{manifest.title}. Built with seglab, seed {manifest.seed}.",
    }
    if manifest.creator:
        value["creator"] = {"@type": "sc:Person", "name": manifest.creator}
    value["distribution"] = [
        *(_file(name, file.bytes, file.sha256) for name, file in manifest.files.items()),
        _rows(ROWS, "data/*.parquet", "every session, a row each"),
        *(
            _rows(f"{ROWS}-{part}", f"data/{part}-*.parquet", f"the sessions of {part}")
            for part in PARTS
            if manifest.splits.get("split", {}).get(part)
        ),
    ]
    value["recordSet"] = [_splits(), _sessions()]
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def _licence(licence: str) -> str:
    return licence if "://" in licence else f"https://spdx.org/licenses/{licence}.html"


def _file(name: str, size: int, sha256: str) -> dict[str, Any]:
    suffix = name[name.rfind(".") :]
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{size} B",
        "encodingFormat": _MEDIA_TYPES.get(suffix, "application/octet-stream"),
        "sha256": sha256,
    }


def _rows(name: str, includes: str, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": description,
        "encodingFormat": "application/x-parquet",
        "includes": includes,
    }


def _splits() -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": "splits/name",
                "name": "name",
                "dataType": "sc:Text",
                "description": "a part of the dataset",
            }
        ],
        "data": [{"splits/name": part} for part in PARTS],
    }


def _sessions() -> dict[str, Any]:
    top = {name: column for name, column in COLUMNS.items() if "." not in name}
    fields = [_field(name, column) for name, column in top.items()]
    for field in fields:
        if field["name"] == "split":
            field["references"] = {"field": {"@id": "splits/name"}}
    return {
        "@type": "cr:RecordSet",
        "@id": SESSIONS,
        "name": SESSIONS,
        "description": "a record a session: what was written, carried and read, and its labels",
        "key": {"@id": f"{SESSIONS}/session_id"},
        "field": fields,
    }


def _field(name: str, column: Column) -> dict[str, Any]:
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{SESSIONS}/{name}",
        "name": name,
        "description": column.meaning,
        "source": {"fileSet": {"@id": ROWS}, "extract": {"column": name}},
    }
    inner = fields_of(name)
    if column.kind in ("texts", "integers"):
        return field | {"dataType": _TYPES[column.kind.removesuffix("s")], "repeated": True}
    if not inner:
        return field | {"dataType": _TYPES[column.kind]}
    field["repeated"] = column.kind == "list"
    field["subField"] = [
        {
            "@type": "cr:Field",
            "@id": f"{SESSIONS}/{name}/{own}",
            "name": own,
            "description": value.meaning,
            "dataType": _TYPES[value.kind],
            "source": {
                "fileSet": {"@id": ROWS},
                "extract": {"column": name},
                "transform": {"jsonPath": own},
            },
        }
        for own, value in inner.items()
    ]
    return field
