"""Errors of requests, with Acumatica's messages."""

from __future__ import annotations


class QueryError(Exception):
    """The query options cannot be applied."""


class EmptyAnswerError(QueryError):
    """Acumatica answers this request with 200 and an empty body."""


class NotFoundError(Exception):
    """Nothing has this URL."""


def unknown_property(name: str, type_name: str) -> QueryError:
    """Return the error for a column that does not exist."""
    return QueryError(f"Could not find a property named '{name}' on type '{type_name}'.")


def incompatible_types(left: str, right: str, operator: str) -> QueryError:
    """Return the error for operands of different types."""
    return QueryError(
        "A binary operator with incompatible_types types was detected. Found operand types"
        f" '{left}' and '{right}' for operator kind '{operator}'."
    )


def not_allowed(name: str, option: str) -> QueryError:
    """Return the error for a column that this query option does not allow."""
    return QueryError(f"The property '{name}' cannot be used in the {option} query option.")


def option_not_allowed(option: str) -> QueryError:
    """Return the error for a query option that the service does not offer."""
    return QueryError(
        f"Query option '{option}' is not allowed. To allow it, set the 'AllowedQueryOptions'"
        " property on EnableQueryAttribute or QueryValidationSettings."
    )
