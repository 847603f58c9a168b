"""Which service an address means."""

from __future__ import annotations

import pytest

from tap_acumatica.acumatica.addresses import DAC, DAC_LEGACY, GI, GI_LEGACY, services
from tap_acumatica.errors import AddressError, SettingsError


@pytest.mark.parametrize(
    ("url", "interface", "tenant", "root"),
    [
        ("https://a.example", "dac", "Co", "https://a.example/t/Co/api/odata/dac"),
        ("https://a.example/", "gi", "Co", "https://a.example/t/Co/api/odata/gi"),
        ("https://a.example/ERP/", "dac", "My Co", "https://a.example/ERP/t/My%20Co/api/odata/dac"),
        ("https://a.example", "dac", "My%20Co", "https://a.example/t/My%20Co/api/odata/dac"),
        ("https://a.example", "dac", "A/B", "https://a.example/t/A%2FB/api/odata/dac"),
        ("https://a.example", "dac", "Ää", "https://a.example/t/%C3%84%C3%A4/api/odata/dac"),
        ("https://a.example/ERP", "dac-legacy", "My Co", "https://a.example/ERP/odatav4/My%20Co"),
        ("https://a.example", "gi-legacy", "Co", "https://a.example/odata/Co"),
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


@pytest.mark.parametrize(
    ("url", "interface", "site", "tenant", "name"),
    [
        ("https://h/odatav4", "dac", "https://h", None, "dac-legacy"),
        ("https://h/ERP/ODataV4/My%20Co", "gi", "https://h/ERP", "My Co", "dac-legacy"),
        ("https://h/ERP/OData/Co/", "gi-legacy", "https://h/ERP", "Co", "gi-legacy"),
        ("https://h/odata", "gi-legacy", "https://h", None, "gi-legacy"),
        ("https://co.acumatica.com/odata/Co", "dac", "https://co.acumatica.com", "Co", "gi-legacy"),
        ("https://co.acumatica.com/ODATA", "dac", "https://co.acumatica.com", None, "gi-legacy"),
        ("https://h/odata/t/Co/api/odata/gi", "gi-legacy", "https://h/odata", "Co", "gi"),
        ("https://h/odata/odatav4/Co", "dac", "https://h/odata", "Co", "dac-legacy"),
    ],
)
def test_older_service_roots_are_recognised_with_and_without_tenant(
    url: str, interface: str, site: str, tenant: str | None, name: str
) -> None:
    (service,) = services(url, interface).values()
    assert (service.site, service.tenant, service.root) == (site, tenant, url.rstrip("/"))
    assert service.interface is not None
    assert service.interface.name == name


@pytest.mark.parametrize(
    "url",
    [
        "https://h/odata",
        "https://h/some/odata",
        "https://services.example/V3/OData/OData.svc",
        "https://h/odata/Co",
    ],
)
def test_an_address_that_other_services_have_too_is_acumaticas_where_the_setting_says_so(
    url: str,
) -> None:
    given = services(url, "dac")[None]
    assert (given.site, given.interface, given.root) == (None, None, url)
    assert services(url, "gi-legacy")[None].interface == GI_LEGACY


@pytest.mark.parametrize(
    ("interface", "root"),
    [("gi-legacy", "https://h/ERP/odata"), ("dac-legacy", "https://h/ERP/odatav4")],
)
def test_the_older_interfaces_need_no_tenant(interface: str, root: str) -> None:
    service = services("https://h/ERP/", interface)[None]
    assert (service.root, service.site, service.tenant) == (root, "https://h/ERP", None)
    assert service.interface in {GI_LEGACY, DAC_LEGACY}


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
def test_a_url_that_is_not_an_address_is_refused_by_name(url: str) -> None:
    with pytest.raises(SettingsError, match="'url' must"):
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


@pytest.mark.parametrize(
    ("url", "interface", "tables"),
    [
        ("https://h", "gi", "https://h/t/A%20B/api/odata/dac"),
        ("https://h/erp", "dac", "https://h/erp/t/A%20B/api/odata/dac"),
        ("https://h", "gi-legacy", "https://h/odatav4/A%20B"),
        ("https://h", "dac-legacy", "https://h/odatav4/A%20B"),
    ],
)
def test_the_tables_of_a_tenant_stand_beside_its_inquiries(
    url: str, interface: str, tables: str
) -> None:
    assert services(url, interface, ["A B"])["A B"].tables == tables


def test_the_tables_of_a_site_without_tenants_have_an_address_on_older_sites_only() -> None:
    assert services("https://h", "gi-legacy")[None].tables == "https://h/odatav4"
    assert services("https://h/odata/service", "dac")[None].tables is None


def test_a_query_behind_the_address_is_said_to_be_left_out_without_its_value(
    caplog: pytest.LogCaptureFixture,
) -> None:
    (service,) = services("https://a.example/odata?apikey=s3cret", "dac").values()
    assert "s3cret" not in service.root
    assert "a query (apikey), which is not sent; set 'additional_properties'" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("url", "tenants", "said"),
    [
        ("https://a.example/t/Co/api/odata/dac", ["Other"], "'Co', which is not in 'tenants'"),
        ("https://a.example/t/Co/api/odata/dac", ["co"], ""),
        ("https://a.example", ["Co", "co"], "'Co' and 'co', which a site may take for one"),
        ("https://a.example", ["Co", "Other", "Co"], ""),
    ],
)
def test_tenants_that_are_perhaps_not_those_that_were_meant_are_warned_of(
    url: str, tenants: list[str], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    services(url, "dac", tenants)
    assert said in caplog.text if said else not caplog.text


@pytest.mark.parametrize(
    ("target", "refused"),
    [
        ("https://a.example/t/My%20Co/api/odata/dac/A", False),
        ("https://a.example/t/my+co/api/odata/dac/A", False),
        ("https://a.example/ERP/t/Other/api/odata/dac/A", True),
        ("https://a.example/Frames/Login.aspx", False),
    ],
)
def test_a_redirect_to_another_tenant_is_refused(target: str, *, refused: bool) -> None:
    (service,) = services("https://a.example", "dac", ["My Co"]).values()
    if not refused:
        service.check_redirect(target)
        return
    with pytest.raises(AddressError, match="redirected to tenant 'Other'"):
        service.check_redirect(target)
