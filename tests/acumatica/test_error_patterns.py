"""What the texts of failures mean."""

from __future__ import annotations

import pytest

from tap_acumatica.acumatica.error_patterns import RIGHTS, SEATS, cause_and_remedy, diagnose


@pytest.mark.parametrize(
    "text",
    [
        "Your account is locked out. Please contact your system administrator.",
        "The account has been locked.",
        "Invalid credentials. Please try again.",
        "Invalid user name. Please try again.",
        "You are not allowed to log in to the tenant Company. Please contact your administrator.",
        "You are not allowed to log in. Please contact your system administrator.",
        "Current user cannot send API requests.",
        "Only API requests are allowed for this user.",
        "You must change your password.",
        "Your password has expired.",
        "Two-factor authentication is required.",
        "Enter the verification code that was sent to you.",
        '{"error":"invalid_grant","error_description":"invalid_username_or_password"}',
    ],
)
@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_texts_of_a_sign_in_are_no_refusals_of_a_query(text: str, status: int) -> None:
    pattern = diagnose(status, text)
    assert pattern is not None
    assert pattern.sign_in
    assert not pattern.refusal
    assert pattern.remedy


@pytest.mark.parametrize(
    "text",
    [
        "Could not find a property named 'AccountLocked' on type 'GI.Row'.",
        "Filter on 'InvalidPassword' is not allowed because it is a virtual field",
        "The query specified in the URI is not valid. $orderby is not supported.",
        "The property 'TwoFactor' cannot be used in the $filter query option.",
    ],
)
def test_refusals_of_a_query_are_no_texts_of_a_sign_in(text: str) -> None:
    pattern = diagnose(400, text)
    assert pattern is not None
    assert pattern.refusal
    assert not pattern.sign_in


@pytest.mark.parametrize("word", ["NETStandard", "NETStardard", "netstardard"])
def test_metadata_in_json_is_known_in_both_spellings(word: str) -> None:
    text = (
        "The JSON metadata is not supported at this platform. It's only supported at platform "
        f"implementing .{word} 2.0."
    )
    pattern = diagnose(500, text)
    assert pattern is not None
    assert "other than XML" in pattern.cause
    assert not pattern.refusal


@pytest.mark.parametrize(
    ("text", "screen"),
    [
        ("You have insufficient rights to access the Sales Orders (SO301000) form.", "SO301000"),
        ("You have insufficient rights to access the Users (SM201010) form.", "SM201010"),
        ("You have insufficient rights to access the API Login Limit (AB000001) form.", "AB000001"),
        ("You have insufficient rights to access the object (PX.SM.Users).", "'exclude_entity"),
    ],
)
def test_a_lack_of_rights_names_the_screen_and_is_not_one_of_seats(text: str, screen: str) -> None:
    assert diagnose(403, text) is RIGHTS
    cause, remedy = cause_and_remedy(403, text)
    assert "no access rights" in cause
    assert screen in remedy


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Denial Code 510. The system was unable to gather the data", "'page_size'"),
        ("Denial Code 513. data size limits", "'page_size'"),
        ("Invalid object name 'UsrThing'.", "SM204505"),
        ("PX.Api.CannotOptimizeException: Optimization cannot be performed.", "generic inquiry"),
        ("The given key was not present in the dictionary.", "deselect"),
        ("Cannot convert the value of GroupMask", "GroupMask"),
    ],
)
def test_other_failures_say_what_to_do(text: str, words: str) -> None:
    assert words in cause_and_remedy(500, text)[1]


def test_refused_rights_to_everything_name_the_role() -> None:
    assert "OData4 User" in cause_and_remedy(403, "")[1]
    assert SEATS.remedy.count("SM") == 2
