"""Which service an address means."""

from __future__ import annotations

import pytest

from tap_acumatica.acumatica.errors import AddressError
from tap_acumatica.acumatica.interface import DAC, GI, services


@pytest.mark.parametrize(
    ("url", "interface", "tenant", "root"),
    [
        ("https://a.example", "dac", "Co", "https://a.example/t/Co/api/odata/dac"),
        ("https://a.example/", "gi", "Co", "https://a.example/t/Co/api/odata/gi"),
        ("https://a.example/ERP/", "dac", "My Co", "https://a.example/ERP/t/My%20Co/api/odata/dac"),
        ("https://a.example", "dac", "My%20Co", "https://a.example/t/My%20Co/api/odata/dac"),
        ("https://a.example", "dac", "A/B", "https://a.example/t/A%2FB/api/odata/dac"),
        ("https://a.example", "dac", "Ää", "https://a.example/t/%C3%84%C3%A4/api/odata/dac"),
    ],
)
def test_a_site_and_a_tenant_make_a_service_root(
    url: str, interface: str, tenant: str, root: str
) -> None:
    (service,) = services(url, interface, [tenant]).values()
    assert service.root == root
    assert service.site == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "site", "tenant", "inquiries"),
    [
        ("https://h/t/Co/api/odata/dac", "https://h", "Co", False),
        ("https://h/ERP/t/Calipso%20LLC/api/OData/GI/", "https://h/ERP", "Calipso LLC", True),
        ("https://h/ODataV4/InstanceName", "https://h", "InstanceName", False),
        ("https://h/t/Co/api/odata/dac/$metadata", "https://h", "Co", False),
    ],
)
def test_a_service_root_of_acumatica_is_recognised(
    url: str, site: str, tenant: str, *, inquiries: bool
) -> None:
    (service,) = services(url, "dac").values()
    assert (service.site, service.tenant) == (site, tenant)
    assert service.interface is not None
    assert service.interface.inquiries is inquiries


def test_blanks_are_encoded_once_and_what_is_encoded_stays() -> None:
    for url in ("https://h/t/Calipso LLC/api/odata/gi", "https://h/t/Calipso%20LLC/api/odata/gi"):
        assert services(url, "dac")[None].root == "https://h/t/Calipso%20LLC/api/odata/gi"


def test_any_other_service_root_is_taken_as_given() -> None:
    service = services("http://localhost:8080/V4/Northwind/Northwind.svc/", "dac")[None]
    assert service.root == "http://localhost:8080/V4/Northwind/Northwind.svc"
    assert (service.site, service.interface) == (None, None)


def test_tenants_take_the_place_of_the_one_in_the_address() -> None:
    found = services("https://h/t/A/api/odata/gi", "dac", ["B", "C", "B"])
    assert {tenant: service.root for tenant, service in found.items()} == {
        "B": "https://h/t/B/api/odata/gi",
        "C": "https://h/t/C/api/odata/gi",
    }
    assert {service.interface for service in found.values()} == {GI}
    assert DAC not in {service.interface for service in found.values()}


@pytest.mark.parametrize("url", ["a.example", "ftp://a.example", "https://", "https://u:p@h/x"])
def test_what_is_no_address_is_refused_by_name(url: str) -> None:
    with pytest.raises(AddressError, match="setting 'url' is wrong"):
        services(url, "dac")


@pytest.mark.parametrize(
    "context",
    [
        None,
        "$metadata#SOOrder",
        "../dac/$metadata#SOOrder(OrderNbr)",
        "/t/Calipso%20LLC/api/odata/dac/$metadata#SOOrder",
        "https://h/AcumaticaERP/t/Calipso%20LLC/api/odata/dac/$metadata#SOOrder",
        "http://inside.local:8080/T/calipso%20llc/API/OData/DAC/$metadata#SOOrder",
        "https://h/t/Calipso+LLC/api/odata/dac/$metadata#SOOrder",
        "https://h/odatav4/Calipso%20LLC/$metadata#SOOrder",
        "https://h/somewhere/else/$metadata#SOOrder",
        "http://[broken",
    ],
)
def test_an_answer_of_the_tenant_asked_for_is_taken_whatever_its_host(context: str | None) -> None:
    service = services("https://h", "dac", ["Calipso LLC"])["Calipso LLC"]
    service.check_answer(f"{service.root}/SOOrder?$top=1", context)


@pytest.mark.parametrize(
    "context",
    [
        "https://h/t/Company/api/odata/dac/$metadata#SOOrder",
        "/t/Company/api/odata/dac/$metadata#SOOrder",
        "http://inside.local/x/t/Company/api/odata/gi/$metadata#SOOrder",
        "https://h/odatav4/Company/$metadata#SOOrder",
    ],
)
def test_an_answer_of_another_tenant_is_refused(context: str) -> None:
    service = services("https://h", "dac", ["Calipso LLC"])["Calipso LLC"]
    with pytest.raises(AddressError, match="comes from tenant 'Company'"):
        service.check_answer(f"{service.root}/SOOrder?$top=1", context)


def test_a_service_without_a_tenant_is_not_held_to_one() -> None:
    service = services("https://h/svc", "dac")[None]
    service.check_answer(f"{service.root}/X", "https://h/t/Any/api/odata/dac/$metadata#X")
