"""The documents at a service root: `$metadata` (CSDL 4.0) and the service document."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .model import Column, Entity, Inquiry, Model, Navigation

JSON_REFUSED = "The JSON format is only supported at platform implementing .NETStandard 2.0."
_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n<edmx:Edmx Version="4.0"'
    ' xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
)
_TAIL = "</edmx:DataServices></edmx:Edmx>"
_EDM = "http://docs.oasis-open.org/odata/ns/edm"


def dac_metadata(model: Model) -> str:
    """Return the metadata of the data access classes."""
    listed = [entity for entity in model.entities.values() if entity.listed]
    entities = sorted(listed, key=lambda e: (e.namespace, e.class_name))
    schemas = [
        _schema(namespace, (_entity_type(entity, model) for entity in group))
        for namespace, group in groupby(entities, key=lambda e: e.namespace)
    ]
    members = [m for e in entities if not e.singleton for m in _members(e, "EntitySet", model)]
    members += [m for e in entities if e.singleton for m in _members(e, "Singleton", model)]
    container = ['<EntityContainer Name="Container">', *members, "</EntityContainer>"]
    return "".join([_HEAD, *schemas, _schema("Default", container), _TAIL])


def gi_metadata(model: Model) -> str:
    """Return the metadata of the generic inquiries."""
    inquiries = list(model.inquiries.values())
    types = [_inquiry_type(inquiry) for inquiry in inquiries]
    functions = [_function(inquiry) for inquiry in inquiries if inquiry.parameters]
    members = [
        f"<EntitySet Name={quoteattr(i.title)}"
        f" EntityType={quoteattr(f'GenericInquiry.{i.type_name}')}/>"
        for i in inquiries
    ]
    members += [
        f"<FunctionImport Name={quoteattr(i.function_import)}"
        f" Function={quoteattr(f'GenericInquiry.{i.title}')} EntitySet={quoteattr(i.title)}/>"
        for i in inquiries
        if i.parameters
    ]
    container = ['<EntityContainer Name="Default">', *members, "</EntityContainer>"]
    schemas = [_schema("GenericInquiry", [*types, *functions]), _schema("Default", container)]
    return "".join([_HEAD, *schemas, _TAIL])


def service_document(model: Model, interface: str) -> list[dict[str, str]]:
    """Return the entity sets and singletons at a service root."""
    if interface == "gi":
        return [_listed(title, "EntitySet") for title in model.inquiries]
    return [
        _listed(name, "Singleton" if entity.singleton else "EntitySet")
        for name, entity in model.sets.items()
        if entity.listed
    ]


def _listed(name: str, kind: str) -> dict[str, str]:
    return {"name": name, "kind": kind, "url": name}


def _schema(namespace: str, content: Iterable[str]) -> str:
    return f'<Schema Namespace="{namespace}" xmlns="{_EDM}">{"".join(content)}</Schema>'


def _entity_type(entity: Entity, model: Model) -> str:
    base = f' BaseType="{entity.base}"' if entity.base else ""
    return "".join(
        [
            f'<EntityType Name="{entity.class_name}"{base}>',
            _key(entity.own_key),
            *(_property(c) for c in entity.own_columns if not c.hidden),
            *(_navigation(n) for n in entity.own_navigation if n.target in model.entities),
            "</EntityType>",
        ]
    )


def _key(names: Iterable[str]) -> str:
    references = "".join(f'<PropertyRef Name="{name}" />' for name in names)
    return f"<Key>{references}</Key>" if references else ""


def _property(column: Column) -> str:
    scale = ' Scale="Variable"' if column.edm == "Decimal" else ""
    nullable = "" if column.nullable else ' Nullable="false"'
    start = f'<Property Name="{column.name}" Type="Edm.{column.edm}"{nullable}{scale}'
    if column.description is None:
        return f"{start} />"
    text = quoteattr(column.description)
    note = f'<Annotation Term="Org.OData.Core.V1.Description" String={text} />'
    return f"{start}>{note}</Property>"


def _navigation(navigation: Navigation) -> str:
    target = f"Collection({navigation.target})" if navigation.collection else navigation.target
    start = f'<NavigationProperty Name="{navigation.name}" Type="{target}"'
    if not navigation.constraints:
        return f"{start} />"
    constraints = "".join(
        f'<ReferentialConstraint Property="{near}" ReferencedProperty="{far}" />'
        for near, far in navigation.constraints
    )
    return f"{start}>{constraints}</NavigationProperty>"


def _members(entity: Entity, kind: str, model: Model) -> Iterator[str]:
    attribute = "EntityType" if kind == "EntitySet" else "Type"
    content = "".join(
        f'<NavigationPropertyBinding Path="{n.name}" Target="{model.entities[n.target].sets[0]}" />'
        for n in entity.navigation.values()
        if n.target in model.entities
    )
    # As in the real document: a derived class lists only its own fields, not those of its base.
    barred = [c.name for c in entity.own_columns if not c.filterable]
    if barred:
        paths = "".join(f"<PropertyPath>{escape(name)}</PropertyPath>" for name in barred)
        content += (
            '<Annotation Term="Org.OData.Capabilities.V1.FilterRestrictions"><LoggedRequest>'
            '<PropertyValue Property="NonFilterableProperties">'
            f"<Collection>{paths}</Collection></PropertyValue></LoggedRequest></Annotation>"
        )
    for name in entity.sets:
        start = f'<{kind} Name="{name}" {attribute}="{entity.name}"'
        yield f"{start}>{content}</{kind}>" if content else f"{start} />"


def _inquiry_type(inquiry: Inquiry) -> str:
    return "".join(
        [
            f'<EntityType Name="{inquiry.type_name}">',
            _key(inquiry.key),
            *(f'<Property Name="{c.name}" Type="Edm.{c.edm}"/>' for c in inquiry.columns.values()),
            "</EntityType>",
        ]
    )


def _function(inquiry: Inquiry) -> str:
    parameters = "".join(
        f'<Parameter Name="{name}" Type="Edm.{edm}"/>'
        for name, (edm, _) in inquiry.parameters.items()
    )
    result = f"Collection(GenericInquiry.{inquiry.type_name})"
    return (
        f"<Function Name={quoteattr(inquiry.title)}>{parameters}"
        f'<ReturnType Type="{result}" Nullable="false"/></Function>'
    )
