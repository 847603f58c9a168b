"""What a service says about the preferences it applied (OData 4.01 Part 1, section 8.2.8.6)."""

from __future__ import annotations

import re

PREFERENCE_APPLIED = "Preference-Applied"
_OMITS_NULLS = re.compile(
    r'(?:^|[,;])\s*(?:odata\.)?omit-values\s*(?:=\s*(?:nulls|"\s*nulls\s*")\s*)?(?=[,;]|$)',
    re.IGNORECASE,
)


def omits_nulls(applied: str) -> bool:
    """Whether properties that an answer lacks are null.

    >>> omits_nulls("odata.maxpagesize=50, omit-values=nulls")
    True

    Args:
        applied: Value of the header ``Preference-Applied``.
    """
    return _OMITS_NULLS.search(applied) is not None
