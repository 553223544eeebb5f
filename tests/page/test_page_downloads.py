"""What the page saves is what the service gives, with the measurements that the page shows."""

from tests.page.driving import BY_OBJECT, ask, choose


def test_downloads_are_the_forms_the_service_gives(page, address, image):
    choose(page, image)
    description = page.request.get(f"{address}/openapi.json").json()
    options = description["paths"]["/v1/segment"]["post"]["parameters"]
    schema = next(option["schema"] for option in options if option["name"] == "format")
    forms = set(schema["anyOf"][0]["enum"])
    offered = page.locator("#downloads button").evaluate_all("(all) => all.map((one) => one.dataset.form)")
    assert set(offered) <= forms
    assert {"json", "csv", "tiff"} < set(offered)
    assert forms - set(offered) == {"ndjson"}  # progress is no file
    for form in offered:
        with page.expect_download() as download:
            page.locator(f"#downloads [data-form={form}]").click()
        query = BY_OBJECT if form == "json" else f"format={form}"
        assert download.value.path().read_bytes() == ask(page, address, image, query).body()
        assert download.value.suggested_filename.startswith("blobs")
