"""A service whose one table has a column of every Edm type, with values at and beyond limits."""

from __future__ import annotations

import json

from tap_acumatica.sandbox.exchange import RawJson
from tests.field.service import Row, Service, Table

NAME = "Values"
TEXTS = [
    *(
        "",
        " ",
        "  both ends  ",
        "plain",
        "tab\there",
        "line\nfeed",
        "\r",
        "both\r\nof them",
        "\v\f",
    ),
    *(
        "back\\slash",
        "\\",
        "\\\\",
        "\\N",
        "\\.",
        "\\n",
        "\\t",
        "\\x41",
        "it's",
        'say "x"',
        '"',
        "'",
    ),
    *(
        "null",
        "NULL",
        "None",
        "{}",
        "{a,b}",
        "[]",
        '{"a": 1}',
        "%s",
        "%%",
        "$1",
        "; --",
        "1",
        "true",
    ),
    *(
        "äöü",
        "漢字",
        "\u0435\u0301",
        "😀",
        "\u2028",
        "\ufeff",
        "\x01",
        "\x1f",
        "\x7f",
        "\x85",
        "\xa0",
    ),
    *("\x00", "a\x00b", "x" * 100_000),
]
_TEXTS = [*map(json.dumps, TEXTS), r'"a lone \ud83d half"', "12.50"]
_FRACTIONS = ["0", "-0.0", "1.50", "0.1", "-0.0001", "1e3", "1E-7", "123456789012345678.9"]


def _whole(bits: int, *, signed: bool = True) -> list[str]:
    least = -(2 ** (bits - 1)) if signed else 0
    most = 2 ** (bits - 1) - 1 if signed else 2**bits - 1
    return [str(number) for number in (least, 0, 1, most)] + [f'"{most}"', "7.0"]


def _quoted(*texts: str) -> list[str]:
    return [json.dumps(text) for text in texts]


_MOMENTS = _quoted(
    *("2024-03-15T08:00:00Z", "2024-03-15T08:00:00.5Z", "2024-03-15T08:00:00.123456Z"),
    *("2024-03-15T08:00:00.1234567Z", "2024-07-15T23:59:59.999+14:00", "2024-11-03T06:30:00Z"),
    *("0001-01-01T00:00:00Z", "1900-01-01T00:00:00Z", "9999-12-31T23:59:59.9999999Z"),
)
_PLACE = '{"type":"Point","coordinates":[1.50,-2e0]}'

VALUES: dict[str, list[str]] = {
    "Edm.String": _TEXTS,
    "Edm.Boolean": ["true", "false", '"True"', "0"],
    "Edm.Byte": _whole(8, signed=False),
    "Edm.SByte": _whole(8),
    "Edm.Int16": _whole(16),
    "Edm.Int32": _whole(32),
    "Edm.Int64": _whole(64),
    "Edm.Decimal": [*_FRACTIONS, "9" * 28 + ".9999", '"1.50"', '" 12.5 "', "1e-28"],
    "Edm.Double": [*_FRACTIONS, "1.7976931348623157E+308", "5e-324", '"INF"', '"NaN"', '"-INF"'],
    "Edm.Single": [*_FRACTIONS, "3.4028235E+38", "1e-45", '"INF"'],
    "Edm.Guid": _quoted(
        "5ae2b6a0-0000-0000-0000-00000000000f", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF"
    ),
    "Edm.DateTimeOffset": _MOMENTS,
    "Edm.DateTime": [*_MOMENTS, r'"\/Date(1710489600000)\/"', '"2024-03-15T08:00:00"'],
    "Edm.Date": _quoted("0001-01-01", "1999-12-31", "2024-02-29", "9999-12-31"),
    "Edm.TimeOfDay": _quoted("00:00:00", "23:59:59.9999999", "08:00"),
    "Edm.Time": _quoted("PT0S", "-P1DT2H3M4.5S"),
    "Edm.Duration": _quoted("PT0.1234567S", "P1D", "-P1DT2H3M4.5S"),
    "Edm.Binary": _quoted("", "AAECAw==", "_-8", "3q2-7w=="),
    "Edm.GeographyPoint": [_PLACE],
    "Edm.GeometryPoint": [_PLACE, "{}"],
    "Edm.Untyped": ["1.50", '"text"', '{"a":[1,null]}', "[]", "true", *_TEXTS[-3:]],
    "Field.Colour": _quoted("Red", "1", "Blue,Green"),
    "Field.Inner": [
        '{"A":1.50,"At":"2024-03-15T08:00:00.5Z","Note":"a\\tb \\"x\\" \\\\N","Deeper":null}',
        '{"A":null,"At":null,"Note":null,"Deeper":{"A":0.1,"At":null,"Note":"a\\u0000b"}}',
    ],
    "Collection(Edm.String)": ["[]", json.dumps([text for text in TEXTS if len(text) < 100])],
    "Collection(Edm.Int32)": ["[]", "[1,-2147483648,2147483647]", "[null,0]"],
    "Collection(Edm.Decimal)": ["[0.1,1.50,1e3]"],
    "Collection(Field.Inner)": ["[]", '[{"A":1.50,"At":null,"Note":"{a,\\"b\\"}"},{"A":0}]'],
}
"""What is sent for a column of each type, as JSON."""

_ROWS = max(map(len, VALUES.values()))
_SCHEMA = (
    '<EnumType Name="Colour"><Member Name="Red"/></EnumType><ComplexType Name="Inner">'
    '<Property Name="A" Type="Edm.Decimal"/><Property Name="At" Type="Edm.DateTimeOffset"/>'
    '<Property Name="Note" Type="Edm.String"/><Property Name="Deeper" Type="Field.Inner"/>'
    "</ComplexType>"
)


def column(kind: str) -> str:
    """The column of a type."""
    return "".join(sign if sign.isalnum() else "_" for sign in kind).strip("_")


def rows() -> list[Row]:
    """One row for each value of the type with the most; the last one has nothing but nulls."""
    found: list[Row] = [
        {column(kind): RawJson(values[number % len(values)]) for kind, values in VALUES.items()}
        for number in range(_ROWS)
    ]
    return [{"Id": number, **row} for number, row in enumerate([*found, dict.fromkeys(found[0])])]


def service() -> Service:
    """The service."""
    columns = {"Id": 'Edm.Int32 Nullable="false"', **{column(kind): kind for kind in VALUES}}
    offered = Service(Table(NAME, columns, ["Id"], rows()))
    offered.metadata = offered.csdl().replace("<EntityType", f"{_SCHEMA}<EntityType", 1)
    return offered
