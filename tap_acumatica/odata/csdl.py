"""Reads ``$metadata``: CSDL XML 4.0 and, by the same local names, 3.0 and 2.0.

Documents of 20 MB with thousands of types are common, and a run needs only a few of the types. So
the members of a type are parsed on first use. Element names are compared without their namespace,
which the older versions changed with each release.
"""

from __future__ import annotations

import functools
import typing as t
from xml.sax.saxutils import quoteattr

from lxml import etree

from tap_acumatica.errors import MetadataError
from tap_acumatica.odata.feed_customization import feed_path, feed_paths
from tap_acumatica.odata.model import (
    EDM,
    NO_FACETS,
    EntitySet,
    Facets,
    FunctionImport,
    Members,
    Model,
    NavigationProperty,
    Parameter,
    Property,
    Skipped,
    StructuredType,
    split_collection,
)
from tap_acumatica.odata.slices import slice_document

if t.TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml.etree import _Element as Element

    from tap_acumatica.odata.slices import SlicedDocument

_DESCRIPTION = ("Org.OData.Core.V1.Description", "Core.Description")
_FILTER_RESTRICTIONS = (
    "Org.OData.Capabilities.V1.FilterRestrictions",
    "Capabilities.FilterRestrictions",
)
_DATA_SERVICES = "DataServices"
_ADO_NAMESPACE = "{http://schemas.microsoft.com/ado/"


def parse_metadata(document: bytes, *, version: str | None = None) -> Model:
    """Build the model of a service from its metadata document, with all types parsed.

    Declarations that cannot be read are left out and listed in ``Model.skipped``.

    Args:
        document: The body of ``GET {root}/$metadata``, as bytes of XML.
        version: OData version from the response headers; a version in the document takes
            precedence.

    Raises:
        MetadataError: If the document is not CSDL: not XML, HTML, or without an entity set.
    """
    model = _MetadataReader(version).read(document)
    for declared in model.types.values():
        _ = declared.members
    return model


def open_metadata(document: bytes, *, version: str | None = None) -> Model:
    """Build the same model as :func:`parse_metadata`, but parse each type on first use.

    ``Model.skipped`` covers only what has been parsed so far. Parsing a type raises
    ``MetadataError`` if its part of the document is not well-formed. The document stays in memory
    until :meth:`Model.drop_unread` is called.

    Args:
        document: As for :func:`parse_metadata`.
        version: As for :func:`parse_metadata`.

    Raises:
        MetadataError: As :func:`parse_metadata`.
    """
    slices = slice_document(document)
    if slices:
        try:
            return _MetadataReader(version, slices).read(slices.skeleton)
        except MetadataError:
            pass  # parse the whole document: it names the fault, unless slicing caused it
    return _MetadataReader(version).read(document)


class _MetadataReader:
    """Collects the declarations, then resolves the references between them."""

    def __init__(self, version: str | None, slices: SlicedDocument | None = None) -> None:
        self.model = Model()
        self.version = version
        self.slices = slices
        self.namespace = ""
        self.functions: dict[str, tuple[tuple[Parameter, ...], str | None]] = {}
        self.imports: list[tuple[str, str | None, str | None]] = []
        self.association_ends: dict[str, dict[str, tuple[str, bool]]] = {}
        self.set_annotations: list[tuple[str, Element]] = []

    def read(self, document: bytes) -> Model:
        root = _parse_xml(document)
        outer = [root, *root, *(grandchild for child in root for grandchild in child)]
        schemas = [element for element in outer if _local_name(element) == "Schema"]
        if not schemas:
            msg = "the metadata document has no CSDL schema"
            raise MetadataError(msg)
        for element in outer:
            if _local_name(element) in {"Edmx", _DATA_SERVICES}:
                self._read_version(element)
        for schema in schemas:
            self._read_schema(schema)
        self._resolve_references()
        return self.model

    def _read_schema(self, schema: Element) -> None:
        self.namespace = schema.get("Namespace", "")
        # A document without a version still shows its generation by its namespaces.
        is_ado = schema.tag.startswith(_ADO_NAMESPACE)
        self.version = self.version or ("3.0" if is_ado else None)
        if alias := schema.get("Alias"):
            self.model.aliases[alias] = self.namespace
        readers = {
            "Using": self._read_using,
            "EntityType": self._read_type,
            "ComplexType": self._read_type,
            "EnumType": self._read_enumtype,
            "TypeDefinition": self._read_typedefinition,
            "Function": self._read_function,
            "Association": self._read_association,
            "EntityContainer": self._read_entitycontainer,
            "Annotations": self._read_annotations,
        }
        for element in schema:
            if reader := readers.get(_local_name(element)):
                reader(element)

    def _read_using(self, element: Element) -> None:
        if used := element.get("Namespace"):
            self.model.aliases[element.get("Alias", used)] = used

    def _read_version(self, element: Element) -> None:
        for attribute, value in element.attrib.items():
            if str(attribute).endswith("}DataServiceVersion") or (
                attribute == "Version" and str(value).startswith("4")
            ):
                self.version = str(value).partition(";")[0].strip()

    # Types

    def _read_type(self, element: Element) -> None:
        name = element.get("Name")
        if not name:
            self._skip(_local_name(element), "has no name")
            return
        qualified = f"{self.namespace}.{name}"
        self.model.types[qualified] = StructuredType(
            qualified,
            element.get("BaseType"),
            abstract=element.get("Abstract") == "true",
            read=functools.partial(self._members, qualified, element),
        )

    def _members(self, owner: str, declared: Element) -> Members:
        body = self.slices.body(declared.text) if self.slices else None
        element = declared if body is None else _parse_body(declared, body)
        key: tuple[str, ...] = ()
        for child in element.iterchildren("{*}Key"):
            key = tuple(ref.get("Name", "") for ref in child.iterchildren("{*}PropertyRef"))
        found = (self._property(child, owner) for child in element.iterchildren("{*}Property"))
        properties = {prop.name: prop for prop in found if prop}
        self._customize_feed(declared, owner, properties)
        targets = map(self._navigation, element.iterchildren("{*}NavigationProperty"))
        return Members(key, properties, {target.name: target for target in targets if target})

    def _property(self, element: Element, owner: str) -> Property | None:
        name = element.get("Name")
        declared = element.get("Type")
        if not name or not declared:
            self._skip(f"{owner}.{name or '?'}", "property without a name or a type")
            return None
        type_name, collection = split_collection(declared)
        return Property(
            name,
            type_name if "." in type_name else f"{EDM}{type_name}",
            collection or element.get("CollectionKind") in {"List", "Bag"},
            element.get("Nullable") != "false",
            _facets(element),
            _description(element) if len(element) else None,
            feed_path(element),
        )

    def _customize_feed(
        self, declared: Element, owner: str, properties: dict[str, Property]
    ) -> None:
        """Apply the feed customization that an entity type declares for its properties."""
        for name, path in feed_paths(declared):
            if name in properties:
                properties[name] = properties[name]._replace(feed_path=path)
            else:
                self._skip(f"{owner}.{name}", "its value is outside the content of ATOM entries")

    def _navigation(self, element: Element) -> NavigationProperty | None:
        name = element.get("Name", "")
        if declared := element.get("Type"):
            return NavigationProperty(name, *split_collection(declared))
        # OData 2.0 and 3.0: the association declares the target.
        ends = self.association_ends.get(self.model.resolve(element.get("Relationship", "")), {})
        end = ends.get(element.get("ToRole", ""))
        return NavigationProperty(name, *end) if end else None

    def _read_association(self, element: Element) -> None:
        self.association_ends[f"{self.namespace}.{element.get('Name')}"] = {
            end.get("Role", ""): (end.get("Type", ""), end.get("Multiplicity") == "*")
            for end in element
            if _local_name(end) == "End"
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
            (child.get("Type") for child in element if _local_name(child) == "ReturnType"), None
        )
        self.functions[f"{self.namespace}.{element.get('Name')}"] = (_parameters(element), returns)

    def _read_entitycontainer(self, element: Element) -> None:
        for child in element:
            kind = _local_name(child)
            name = child.get("Name")
            if kind in {"EntitySet", "Singleton"}:
                declared = child.get("EntityType") or child.get("Type")
                if not name or not declared:
                    self._skip(name or kind, "has no name or no type")
                    continue
                entity_set = EntitySet(name, declared, singleton=kind == "Singleton")
                _apply_filter_restrictions(entity_set, child)
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
            self.set_annotations.append((target.rpartition("/")[2], element))

    # References

    def _resolve_references(self) -> None:
        self.model.version = self.version or self.model.version
        for name, function, entity_set in self.imports:
            parameters, returns = self.functions.get(self.model.resolve(function or ""), ((), None))
            self.model.function_imports[name] = FunctionImport(
                name, parameters, entity_set, returns
            )
        for set_name, element in self.set_annotations:
            if set_name in self.model.sets:
                _apply_filter_restrictions(self.model.sets[set_name], element)
        for name, entity_set_ in list(self.model.sets.items()):
            resolved = self.model.resolve(entity_set_.type)
            entity_set_.type = resolved
            if resolved not in self.model.types:
                self._skip(name, f"its entity type {resolved} is not declared")
                del self.model.sets[name]
        if not self.model.sets and not self.model.skipped:
            msg = "the metadata document has no entity set"
            raise MetadataError(msg)

    def _skip(self, name: str, reason: str) -> None:
        self.model.skipped.append(Skipped(name, reason))


def _parse_xml(document: bytes) -> Element:
    if not document.strip():
        msg = "the metadata document is empty"
        raise MetadataError(msg)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        huge_tree=True,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(document, parser)
    except etree.XMLSyntaxError as error:
        msg = f"the metadata document is not well-formed XML ({error.msg})"
        raise MetadataError(msg) from error


def _parse_body(element: Element, body: bytes) -> Element:
    """Parse the body of an element, with the namespace prefixes that are in scope there."""
    declarations = "".join(
        f" xmlns{':' if name else ''}{name or ''}={quoteattr(uri)}"
        for name, uri in element.nsmap.items()
    )
    return _parse_xml(b"<Body%b>%b</Body>" % (declarations.encode(), body))


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _facets(element: Element) -> Facets:
    precision, scale = element.get("Precision"), element.get("Scale")
    if not (precision or scale):
        return NO_FACETS
    return Facets(_int_or_none(precision), _int_or_none(scale), floating=scale == "floating")


def _int_or_none(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None


def _parameters(element: Element) -> tuple[Parameter, ...]:
    found = []
    for child in element:
        if _local_name(child) != "Parameter":
            continue
        type_name, collection = split_collection(child.get("Type", "Edm.String"))
        nullable = child.get("Nullable") != "false"
        found.append(Parameter(child.get("Name", ""), type_name, collection, nullable))
    return tuple(found)


def _annotations(element: Element, terms: tuple[str, ...]) -> Iterator[Element]:
    for child in element.iterchildren("{*}Annotation"):
        if child.get("Term") in terms:
            yield child


def _description(element: Element) -> str | None:
    for child in element.iterchildren("{*}Annotation"):
        if child.get("Term") in _DESCRIPTION:
            return child.get("String") or (child.findtext("{*}String") or None)
    return None


def _apply_filter_restrictions(entity_set: EntitySet, element: Element) -> None:
    """Apply the ``Capabilities.FilterRestrictions`` annotations directly below ``element``."""
    for annotation in _annotations(element, _FILTER_RESTRICTIONS):
        for value in annotation.iterfind(".//{*}PropertyValue"):
            if value.get("Property") == "Filterable":
                text = value.get("Bool") or value.findtext("{*}Bool")
                entity_set.filterable = text != "false"
            elif value.get("Property") == "NonFilterableProperties":
                paths = (path.text or "" for path in value.iterfind(".//{*}PropertyPath"))
                entity_set.non_filterable |= frozenset(path.strip() for path in paths)
