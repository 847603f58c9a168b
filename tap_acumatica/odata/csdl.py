"""Reads ``$metadata``: CSDL XML 4.0 and, by the same local names, 3.0 and 2.0.

The document is read as a stream, one schema child at a time, since 20 MB are usual. Element names
are compared without their namespace: the older versions changed it with each release.
"""

from __future__ import annotations

import io
import typing as t
from dataclasses import replace

from lxml import etree

from tap_acumatica.odata import feed
from tap_acumatica.odata.errors import MetadataError
from tap_acumatica.odata.model import (
    EDM,
    NO_FACETS,
    EntitySet,
    Facets,
    FunctionImport,
    Model,
    NavigationProperty,
    Parameter,
    Property,
    Skipped,
    StructuredType,
    split_collection,
)

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element as Element

_DESCRIPTION = ("Org.OData.Core.V1.Description", "Core.Description")
_FILTER_RESTRICTIONS = (
    "Org.OData.Capabilities.V1.FilterRestrictions",
    "Capabilities.FilterRestrictions",
)
_VERSIONED = "DataServices"
_OLDER = "{http://schemas.microsoft.com/ado/"
_SCHEMA_CHILDREN = frozenset(
    {
        "EntityType",
        "ComplexType",
        "EnumType",
        "TypeDefinition",
        "Function",
        "Association",
        "EntityContainer",
        "Annotations",
    }
)


_HANDLED = (*_SCHEMA_CHILDREN, "Schema", "Using", "Edmx", _VERSIONED)


def parse_metadata(document: bytes, *, version: str | None = None) -> Model:
    """Build the model of a service from its metadata document.

    What cannot be read is left out and counted in ``Model.skipped``; the rest is kept.

    Args:
        document: The body of ``GET {root}/$metadata``, as bytes of XML.
        version: What the answer's headers say the version is; the document itself knows better.

    Returns:
        The model.

    Raises:
        MetadataError: If the document is no CSDL at all: not XML, HTML, or no entity container.
    """
    return _Reader(version).read(document)


class _Reader:
    """Collects declarations while the document streams by, and joins them at the end."""

    def __init__(self, version: str | None) -> None:
        self.model = Model()
        self.version = version
        self.schemas = 0
        self.namespace = ""
        self.functions: dict[str, tuple[tuple[Parameter, ...], str | None]] = {}
        self.imports: list[tuple[str, str | None, str | None]] = []
        self.association_ends: dict[str, dict[str, tuple[str, bool]]] = {}
        self.older_navigation: list[tuple[StructuredType, str, str, str]] = []
        self.set_annotations: list[tuple[str, Element]] = []

    def read(self, document: bytes) -> Model:
        if not document.strip():
            msg = "the metadata document is empty"
            raise MetadataError(msg)
        try:
            for event, element in etree.iterparse(
                io.BytesIO(document),
                events=("start", "end"),
                tag=[f"{{*}}{name}" for name in _HANDLED],
                resolve_entities=False,
                no_network=True,
                huge_tree=True,
                remove_comments=True,
                remove_pis=True,
            ):
                self._handle(event, element)
        except etree.XMLSyntaxError as error:
            msg = f"the metadata document is not well-formed XML ({error.msg})"
            raise MetadataError(msg) from error
        if not self.schemas:
            msg = "the metadata document holds no CSDL schema"
            raise MetadataError(msg)
        self._join()
        return self.model

    def _handle(self, event: str, element: Element) -> None:
        name = _local(element)
        if event == "start":
            if name == "Schema":
                self.schemas += 1
                self.namespace = element.get("Namespace", "")
                # A document may not say its version, but its namespaces tell the generation.
                older = element.tag.startswith(_OLDER)
                self.version = self.version or ("3.0" if older else None)
                if alias := element.get("Alias"):
                    self.model.aliases[alias] = self.namespace
            elif name in {"Edmx", _VERSIONED}:
                self._read_version(element)
            elif name == "Using" and (used := element.get("Namespace")):
                self.model.aliases[element.get("Alias", used)] = used
            return
        parent = element.getparent()
        if name in _SCHEMA_CHILDREN and parent is not None and _local(parent) == "Schema":
            getattr(self, f"_read_{name.lower()}")(element)
            element.clear()
            parent.remove(element)

    def _read_version(self, element: Element) -> None:
        for attribute, value in element.attrib.items():
            if str(attribute).endswith("}DataServiceVersion") or (
                attribute == "Version" and str(value).startswith("4")
            ):
                self.version = str(value).partition(";")[0].strip()

    # Types

    def _read_entitytype(self, element: Element) -> None:
        name = element.get("Name")
        if not name:
            self._skip("EntityType", "has no name")
            return
        structured = StructuredType(
            name=f"{self.namespace}.{name}",
            base=element.get("BaseType"),
            abstract=element.get("Abstract") == "true",
        )
        for child in element:
            kind = _local(child)
            if kind == "Property":
                self._read_property(child, structured)
            elif kind == "NavigationProperty":
                self._read_navigation(child, structured)
            elif kind == "Key":
                structured.key = tuple(
                    ref.get("Name", "") for ref in child if _local(ref) == "PropertyRef"
                )
        self._read_places(element, structured)
        self.model.types[structured.name] = structured

    _read_complextype = _read_entitytype

    def _read_property(self, element: Element, owner: StructuredType) -> None:
        name = element.get("Name")
        declared = element.get("Type")
        if not name or not declared:
            self._skip(f"{owner.name}.{name or '?'}", "property without name or type")
            return
        type_name, collection = split_collection(declared)
        owner.properties[name] = Property(
            name=name,
            type=type_name if "." in type_name else f"{EDM}{type_name}",
            collection=collection or element.get("CollectionKind") in {"List", "Bag"},
            nullable=element.get("Nullable") != "false",
            facets=_facets(element),
            description=_description(element),
            place=feed.place(element),
        )

    def _read_places(self, element: Element, owner: StructuredType) -> None:
        """Feed customization that an entity type declares for its properties."""
        for path, place in feed.places(element):
            if path in owner.properties:
                owner.properties[path] = replace(owner.properties[path], place=place)
            else:
                self._skip(f"{owner.name}.{path}", "is told outside of the content of ATOM entries")

    def _read_navigation(self, element: Element, owner: StructuredType) -> None:
        name = element.get("Name", "")
        if declared := element.get("Type"):
            type_name, collection = split_collection(declared)
            owner.navigation[name] = NavigationProperty(name, type_name, collection)
        elif (relationship := element.get("Relationship")) and (role := element.get("ToRole")):
            self.older_navigation.append((owner, name, relationship, role))

    def _read_association(self, element: Element) -> None:
        self.association_ends[f"{self.namespace}.{element.get('Name')}"] = {
            end.get("Role", ""): (end.get("Type", ""), end.get("Multiplicity") == "*")
            for end in element
            if _local(end) == "End"
        }

    def _read_enumtype(self, element: Element) -> None:
        self.model.enums.add(f"{self.namespace}.{element.get('Name')}")

    def _read_typedefinition(self, element: Element) -> None:
        name = f"{self.namespace}.{element.get('Name')}"
        self.model.definitions[name] = Property(
            name=name, type=element.get("UnderlyingType", "Edm.String"), facets=_facets(element)
        )

    # Functions and the container

    def _read_function(self, element: Element) -> None:
        if element.get("IsBound") == "true":
            return
        returns = next(
            (child.get("Type") for child in element if _local(child) == "ReturnType"), None
        )
        self.functions[f"{self.namespace}.{element.get('Name')}"] = (_parameters(element), returns)

    def _read_entitycontainer(self, element: Element) -> None:
        for child in element:
            kind = _local(child)
            name = child.get("Name")
            if kind in {"EntitySet", "Singleton"}:
                declared = child.get("EntityType") or child.get("Type")
                if not name or not declared:
                    self._skip(name or kind, "has no name or no type")
                    continue
                entity_set = EntitySet(name, declared, singleton=kind == "Singleton")
                _restrict(entity_set, child)
                self.model.sets[name] = entity_set
            elif kind == "FunctionImport" and name:
                self._read_function_import(name, child)

    def _read_function_import(self, name: str, element: Element) -> None:
        if function := element.get("Function"):
            self.imports.append((name, function, element.get("EntitySet")))
            return
        # OData 2.0 and 3.0 declare the parameters on the import itself.
        self.model.function_imports[name] = FunctionImport(
            name=name,
            parameters=_parameters(element),
            entity_set=element.get("EntitySet"),
            returns=element.get("ReturnType"),
        )

    def _read_annotations(self, element: Element) -> None:
        target = element.get("Target", "")
        if "/" in target:
            self.set_annotations.append((target.rpartition("/")[2], _copy(element)))

    # Joining

    def _join(self) -> None:
        self.model.version = self.version or self.model.version
        for owner, name, relationship, role in self.older_navigation:
            ends = self.association_ends.get(self.model.resolve(relationship), {})
            if role in ends:
                type_name, many = ends[role]
                owner.navigation[name] = NavigationProperty(name, type_name, many)
        for name, function, entity_set in self.imports:
            parameters, returns = self.functions.get(self.model.resolve(function or ""), ((), None))
            self.model.function_imports[name] = FunctionImport(
                name, parameters, entity_set, returns
            )
        for set_name, element in self.set_annotations:
            if set_name in self.model.sets:
                _restrict(self.model.sets[set_name], element)
        for name, entity_set_ in list(self.model.sets.items()):
            resolved = self.model.resolve(entity_set_.type)
            entity_set_.type = resolved
            if resolved not in self.model.types:
                self._skip(name, f"its entity type {resolved} is not declared")
                del self.model.sets[name]
        if not self.model.sets and not self.model.skipped:
            msg = "the metadata document declares no entity set"
            raise MetadataError(msg)

    def _skip(self, name: str, reason: str) -> None:
        self.model.skipped.append(Skipped(name, reason))


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _copy(element: Element) -> Element:
    return etree.fromstring(etree.tostring(element))


def _facets(element: Element) -> Facets:
    precision, scale = _int(element.get("Precision")), _int(element.get("Scale"))
    return NO_FACETS if precision is None and scale is None else Facets(precision, scale)


def _int(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _parameters(element: Element) -> tuple[Parameter, ...]:
    found = []
    for child in element:
        if _local(child) != "Parameter":
            continue
        type_name, collection = split_collection(child.get("Type", "Edm.String"))
        nullable = child.get("Nullable") != "false"
        found.append(Parameter(child.get("Name", ""), type_name, collection, nullable))
    return tuple(found)


def _annotations(element: Element, terms: tuple[str, ...]) -> Iterator[Element]:
    for child in element:
        if _local(child) == "Annotation" and child.get("Term") in terms:
            yield child


def _description(element: Element) -> str | None:
    for annotation in _annotations(element, _DESCRIPTION):
        return annotation.get("String") or (annotation.findtext("{*}String") or None)
    return None


def _restrict(entity_set: EntitySet, element: Element) -> None:
    """Apply ``Capabilities.FilterRestrictions`` found directly below ``element``."""
    for annotation in _annotations(element, _FILTER_RESTRICTIONS):
        for value in annotation.iterfind(".//{*}PropertyValue"):
            if value.get("Property") == "Filterable":
                text = value.get("Bool") or value.findtext("{*}Bool")
                entity_set.filterable = text != "false"
            elif value.get("Property") == "NonFilterableProperties":
                paths = (path.text or "" for path in value.iterfind(".//{*}PropertyPath"))
                entity_set.non_filterable |= frozenset(path.strip() for path in paths)
