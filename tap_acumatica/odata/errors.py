"""What can go wrong with an OData service, as a tree.

* ``ODataError``
    * ``MetadataError``  the ``$metadata`` document cannot be read at all
    * ``PayloadError``   an answer with status 200 that is no answer
        * ``EmptyPayloadError``  nothing at all
    * ``ValueMismatchError``  a value that does not fit its Edm type
    * ``ExpandError``    an ``$expand`` expression the metadata does not allow
"""

from __future__ import annotations


class ODataError(Exception):
    """Base of everything this package and its users raise about a service."""


class MetadataError(ODataError):
    """The metadata document is not CSDL."""


class PayloadError(ODataError):
    """A successful status whose body is not the promised collection or entity."""


class EmptyPayloadError(PayloadError):
    """A successful status with an empty body."""


class ValueMismatchError(ODataError):
    """A value that does not fit its Edm type."""


class ExpandError(ODataError):
    """An ``$expand`` expression that the metadata does not allow."""
